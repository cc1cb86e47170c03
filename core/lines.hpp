// Which lines of a page stay. The rules are those of c4build/rules/lines.py, which says where they come from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phrases.hpp"
#include "unicode.hpp"

namespace c4 {

// What becomes of a line; a page goes with one of the last two.
enum class LineFate : std::uint8_t { KEPT, NO_END_MARK, TOO_LONG_WORD, TOO_FEW_WORDS, JAVASCRIPT, POLICY, LOREM_IPSUM, CURLY_BRACKET };
constexpr std::size_t LINE_FATES = 8;

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

    // The fate of a page that is this line alone. `line` becomes what stays of it, and may lie in `holder` then.
    LineFate fate_of(Text& line, std::uint8_t phrases, std::string& holder) const;
    // The first of the text's lines with which its page goes; empty where none is such.
    Text dropping_line(Text text, std::uint8_t phrases) const;

    std::size_t least_words() const { return rules_.least_words; }

private:
    bool ends_well(Text line) const;
    LineFate judge(Text& line, std::string& holder) const;          // by the line itself
    LineFate judge_phrases(Text line, std::uint8_t phrases) const; // of what `judge` leaves
    PagePhrase keep_by_phrases(std::size_t lines, std::uint8_t phrases, LineCounts& counts, std::string& text) const;

    LineRules rules_;
    Phrases any_phrase_, dropping_;
    bool javascript_;
    bool may_end_[256] = {}; // by the last byte of a line, as it was read
    bool ends_[256] = {};    // is this byte alone an end mark?
};

// The text as TFDS takes it: the body's lines, stripped, without empty ones. It lies in `made`, unless it is a part of the body.
Text page_text(Text body, std::string& made);

} // namespace c4
