// Digests, as mmh3, hashlib and google-crc32c give them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "unicode.hpp"

namespace c4 {

struct Hash128 {
    std::uint64_t high, low;
};

void append_hash(std::string& to, Hash128 hash); // its 16 bytes, as mmh3 lays them out
Hash128 murmur3(Text data);                     // MurmurHash3_x64_128, seed 0
std::array<std::uint8_t, 16> md5(Text data);
std::uint32_t crc32c(Text data);
std::uint64_t rank(Text url);                   // the first eight bytes of md5, big-endian
bool in_validation(Text normalized_url);        // md5 as one number, big-endian, is a multiple of 1000

} // namespace c4
