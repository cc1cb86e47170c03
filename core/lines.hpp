// Which lines of a page stay. The rules are those of c4build/rules/lines.py, which says where they come from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phrases.hpp"
#include "unicode.hpp"

namespace c4 {

// Phrases in a line that drop the whole page, bits.
enum PagePhrase : std::uint8_t { NO_PHRASE = 0, LOREM = 1, CURLY = 2 };

struct LineRules {
    std::vector<std::string> end_marks; // of one character each
    std::vector<std::string> refused_endings;
    std::size_t least_words;
    std::size_t most_word_chars; // 0: no limit
    bool citations;              // are marks of citations taken out?
    bool page_phrases;           // are phrases that drop the page looked for in its lines?
    std::vector<std::string> curly_brackets;
    std::vector<std::string> drop_lines_with;
};

struct LineCounts {
    std::uint64_t read = 0, kept = 0, no_end_mark = 0, too_long_word = 0, too_few_words = 0, javascript = 0, policy = 0,
                  of_dropped_pages = 0;
};

class LineFilter {
public:
    explicit LineFilter(LineRules rules);

    // The text that stays of a page, and the phrase of `phrases` for which the page goes, if it does.
    struct Kept {
        std::string text;
        PagePhrase dropped_by = NO_PHRASE;
    };
    Kept keep(Text body, std::uint8_t phrases, LineCounts& counts) const;

private:
    bool ends_well(Text line) const;
    PagePhrase judge_phrases(std::size_t lines, std::uint8_t phrases, LineCounts& counts, std::string& text) const;

    LineRules rules_;
    Phrases any_phrase_, dropping_;
    bool javascript_;
    bool may_end_[256] = {}; // by the last byte of a line, as it was read
    bool ends_[256] = {};    // is this byte alone an end mark?
};

// The text as TFDS takes it: the body's lines, stripped, without empty ones.
std::string page_text(Text body);

} // namespace c4
