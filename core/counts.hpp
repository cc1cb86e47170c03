// What a text is made of, counted.
#pragma once

#include <cstddef>

#include "unicode.hpp"

namespace c4 {

struct Counted {
    std::size_t characters, words, lines, bytes; // words of str.split; an empty text has no line
};

Counted count(Text text);

} // namespace c4
