// Which of the pages that share a line or a span loses it. As `lost_repeats` in c4build/dedup/repeats.py.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "unicode.hpp"

namespace c4 {

// The variants that each key loses to another, a bit each, as many bytes a key as its record has for them.
//
// `keys`: records of `repeat_key_dtype` in c4build/dedup/keys.py one behind the other, `size` bytes each. `groups`: of each key
// the group of files that it is of. Throws std::invalid_argument where these do not go together.
std::vector<char> lost_repeats(Text keys, std::size_t size, std::span<const std::uint32_t> groups);

} // namespace c4
