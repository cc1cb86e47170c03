// A function marked WIDEST has wider vectors where the processor has them: the same operations in the same order, more of them at
// once. What it calls becomes part of it.
#pragma once

#if defined __x86_64__ && defined __gnu_linux__ && defined __GNUC__ && !defined __clang__
#define WIDEST __attribute__((target_clones("avx2", "default"), flatten))
#else
#define WIDEST
#endif
