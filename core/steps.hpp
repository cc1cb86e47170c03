// The steps of a rule set for some variants: what happens to one page before and after deduplication. As in
// c4build/rules/steps.py, which says what is what.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "language.hpp"
#include "lines.hpp"
#include "phrases.hpp"
#include "sentences.hpp"
#include "unicode.hpp"

namespace c4 {

using Variants = std::uint64_t; // a bit each

// Calls `take` with the place of each bit that is set.
template <class Take>
void each_bit(Variants variants, Take take) {
    for (; variants; variants &= variants - 1) take(static_cast<std::size_t>(std::countr_zero(variants)));
}

enum class Step : std::uint8_t { LOREM_IPSUM, CURLY_BRACKET, BAD_WORDS, LINES, SENTENCES, LANGUAGE, SENTENCES_LEFT };

// Reasons as page files store them; none of these is 0.
struct ReasonCodes {
    std::uint8_t lorem_ipsum, curly_bracket, bad_words, too_few_sentences, language_unknown, language_unsure, other_language,
        nothing_left, too_few_sentences_left;
};

struct Planned {
    Step step;
    Variants variants; // that take it
};

struct StepRules {
    LineRules lines;
    std::vector<std::string> bad_words;
    std::size_t least_sentences;
    bool sentences_left_in_text; // else line by line
    ReasonCodes codes;
    std::vector<Planned> before, after;
    Variants look_for_lorem, look_for_curly; // the variants for which the step `lines` looks for these
    std::function<LanguageVerdict(Text)> judge_language;
};

class Steps {
public:
    Steps(StepRules rules, std::shared_ptr<const Punkt> punkt);

    // The text that stays of a page up to deduplication, nothing where no variant is left. It lies in `made` or is a part of the
    // body. Writes the reasons of those that drop out into `reasons`, [variants].
    std::optional<Text> before(
        Text body, Variants running, std::span<std::uint8_t> reasons, LineCounts& counts, std::string& made) const;

    // The same behind deduplication, where no step changes the text. Returns whether a variant is left.
    bool after(Text text, Variants running, std::span<std::uint8_t> reasons) const;

private:
    std::uint8_t judge(Step step, Text text) const; // a reason, 0 where the text stays
    std::optional<std::string> take_lines(
        Text body, Variants taking, Variants& running, std::span<std::uint8_t> reasons, LineCounts& counts) const;

    StepRules rules_;
    std::shared_ptr<const Punkt> punkt_;
    LineFilter lines_;
    BadWords bad_words_;
    Phrases lorem_ipsum_;
};

} // namespace c4
