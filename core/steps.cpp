#include "steps.hpp"

#include <utility>

namespace c4 {

namespace {

// Notes the reason for the variants `taking`; returns those still running.
Variants drop(std::uint8_t reason, Variants taking, Variants running, std::span<std::uint8_t> reasons) {
    each_bit(taking, [&](std::size_t bit) {
        if (bit < reasons.size()) reasons[bit] = reason;
    });
    return running & ~taking;
}

} // namespace

Steps::Steps(StepRules rules, std::shared_ptr<const Punkt> punkt)
    : rules_(std::move(rules)), punkt_(std::move(punkt)), lines_(rules_.lines), bad_words_(rules_.bad_words),
      lorem_ipsum_({"lorem ipsum"}) {}

std::optional<Text> Steps::before(
    Text body, Variants running, std::span<std::uint8_t> reasons, LineCounts& counts, std::string& made) const {
    std::optional<Text> text;
    for (const auto& [step, variants] : rules_.before) {
        const Variants taking = running & variants;
        if (!taking) continue;
        if (step == Step::LINES) {
            std::optional<std::string> kept = take_lines(body, taking, running, reasons, counts);
            if (!running) return std::nullopt;
            if (kept) text = made = *std::move(kept);
            continue;
        }
        if (!text) text = page_text(body, made);
        if (const std::uint8_t reason = judge(step, *text)) {
            running = drop(reason, taking, running, reasons);
            if (!running) return std::nullopt;
        }
    }
    if (!text) text = page_text(body, made);
    return text;
}

bool Steps::after(Text text, Variants running, std::span<std::uint8_t> reasons) const {
    for (const auto& [step, variants] : rules_.after) {
        const Variants taking = running & variants;
        if (!taking) continue;
        if (const std::uint8_t reason = judge(step, text)) {
            running = drop(reason, taking, running, reasons);
            if (!running) return false;
        }
    }
    return true;
}

// A page that goes for a phrase in a line stays in the variants that do not look for it, and is counted once.
std::optional<std::string> Steps::take_lines(
    Text body, Variants taking, Variants& running, std::span<std::uint8_t> reasons, LineCounts& counts) const {
    std::uint8_t phrases = LOREM | CURLY;
    if (!(taking & rules_.look_for_lorem)) phrases &= static_cast<std::uint8_t>(~LOREM);
    if (!(taking & rules_.look_for_curly)) phrases &= static_cast<std::uint8_t>(~CURLY);
    LineCounts not_counted;
    LineCounts* counting = &counts;
    while (taking) {
        LineFilter::Kept kept = lines_.keep(body, phrases, *counting);
        if (!kept.dropped_by) return std::move(kept.text);
        const bool lorem = kept.dropped_by == LOREM;
        const Variants dropped = taking & (lorem ? rules_.look_for_lorem : rules_.look_for_curly);
        running = drop(lorem ? rules_.codes.lorem_ipsum : rules_.codes.curly_bracket, dropped, running, reasons);
        taking &= ~dropped;
        phrases &= static_cast<std::uint8_t>(~kept.dropped_by);
        counting = &not_counted;
    }
    return std::nullopt;
}

std::uint8_t Steps::judge(Step step, Text text) const {
    const ReasonCodes& codes = rules_.codes;
    switch (step) {
    case Step::LOREM_IPSUM:
        return lorem_ipsum_.may_stand_in(text) ? codes.lorem_ipsum : 0;
    case Step::CURLY_BRACKET:
        for (const std::string& bracket : rules_.lines.curly_brackets)
            if (text.find(bracket) != Text::npos) return codes.curly_bracket;
        return 0;
    case Step::BAD_WORDS:
        return bad_words_.stands_in(text) ? codes.bad_words : 0;
    case Step::SENTENCES:
        return punkt_->sentences_in_lines(text, rules_.least_sentences) ? 0 : codes.too_few_sentences;
    case Step::LANGUAGE:
        switch (rules_.judge_language(text)) {
        case LanguageVerdict::SAME: return 0;
        case LanguageVerdict::OTHER: return codes.other_language;
        case LanguageVerdict::UNSURE: return codes.language_unsure;
        case LanguageVerdict::UNKNOWN: return codes.language_unknown;
        }
        break;
    case Step::SENTENCES_LEFT:
        if (text.empty()) return codes.nothing_left;
        return (rules_.sentences_left_in_text ? punkt_->has_sentences(text, rules_.least_sentences)
                                              : punkt_->sentences_in_lines(text, rules_.least_sentences))
                   ? 0
                   : codes.too_few_sentences_left;
    case Step::LINES:
        break;
    }
    return 0;
}

} // namespace c4
