// Phrases and bad words: does one of many stand in a text?
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "unicode.hpp"

namespace c4 {

// Some phrases, as rules have them: does one stand in the lower case of a text? `phrase in text.lower()` of Python, so that
// one with capital letters never does, and an empty one always.
class Phrases {
public:
    explicit Phrases(const std::vector<std::string>& phrases);

    bool stands_in(Text low) const;     // the text is lower case already
    bool may_stand_in(Text text) const; // of the text as written, made lower case only where that matters. It is exact

private:
    bool stands_at(Text text, std::size_t at) const;

    std::vector<std::string> short_, long_; // of two bytes at most; of more
    bool ascii_ = true;
    std::size_t least_;                     // bytes of the shortest of `long_`
    // [hash of three bytes]: how far on, at most `least_`, the next place is where a long phrase may begin that has them
    // among its first `least_` bytes.
    std::array<std::uint8_t, 4096> shifts_{};
};

using Place = std::pair<std::size_t, std::size_t>; // from, to: characters of a text

// Words of a list: does one stand in the lower case of a text, between characters that are no word characters, or its
// ends? The answer of the regular expression (?:\W|^)(one|two|...)(?:\W|$) of Python, searched in `text.lower()`.
class BadWords {
public:
    explicit BadWords(const std::vector<std::string>& words);

    bool stands_in(Text text) const;

    // Where words stand, in order, as the expression finds them one after the other; the empty word has no place.
    std::vector<Place> places(Text text) const;

private:
    // A tree of the words' bytes; the children of a node are neighbours, in the order of their bytes.
    struct Node {
        std::uint32_t first_child = 0;
        std::uint16_t children = 0;
        std::uint8_t byte = 0;
        bool is_word = false;
    };

    void grow(const std::vector<std::string>& words);
    template <class Take>
    bool any_start(Text text, Take take) const;
    bool may_begin(Text text, std::size_t at) const;
    std::size_t end_at(Text text, std::size_t at) const;
    bool has_empty_place(Text text) const;

    std::vector<Node> nodes_;
    bool empty_ = false;                             // the empty word is one of them
    std::array<bool, 256> begins_short_{};           // does a word of one byte or two begin with this one?
    std::array<std::uint64_t, 1024> may_begin_{};    // [bits by hash of four bytes]: may a longer one begin with them?
};

} // namespace c4
