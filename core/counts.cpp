#include "counts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace c4 {

namespace {

constexpr std::size_t BLOCK = 32; // bytes that are counted at once, without a branch

// Adds a block where it is of ASCII alone; else returns false.
bool add_block(Counted& counted, bool& in_word, Text block) {
    std::array<std::uint8_t, BLOCK + 1> spaces{!in_word};
    std::uint8_t all = 0, words = 0, lines = 0;
    for (std::size_t i = 0; i < BLOCK; i++) {
        const auto byte = static_cast<std::uint8_t>(block[i]);
        all |= byte;
        lines += byte == '\n';
        spaces[i + 1] = (byte == ' ') | (static_cast<std::uint8_t>(byte - '\t') < 5) | (static_cast<std::uint8_t>(byte - 0x1C) < 4);
    }
    if (all & 0x80) return false;
    for (std::size_t i = 0; i < BLOCK; i++) words += spaces[i] & (spaces[i + 1] ^ 1);
    in_word = !spaces[BLOCK];
    counted.characters += BLOCK, counted.words += words, counted.lines += lines;
    return true;
}

} // namespace

Counted count(Text text) {
    Counted counted{0, 0, text.empty() ? std::size_t{0} : 1, text.size()};
    bool in_word = false;
    for (std::size_t at = 0; at < text.size();) {
        if (text.size() - at >= BLOCK && add_block(counted, in_word, text.substr(at, BLOCK))) {
            at += BLOCK;
            continue;
        }
        for (const std::size_t stop = std::min(at + BLOCK, text.size()); at < stop; counted.characters++) {
            const Char found = char_at(text, at);
            at += found.size;
            counted.lines += found.code == '\n';
            const bool space = is(found.code, SPACE);
            counted.words += !space && !in_word;
            in_word = !space;
        }
    }
    return counted;
}

} // namespace c4
