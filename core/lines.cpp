#include "lines.hpp"

#include <array>
#include <numeric>
#include <utility>

namespace c4 {

namespace {

const std::string LOREM_IPSUM = "lorem ipsum", JAVASCRIPT = "javascript";

// Is there what ends a line for str.splitlines, besides \n? Says yes of some texts in which there is none. Flags of a byte
// each: the compiler does many at once.
bool may_have_more_line_ends(Text text) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    unsigned char found = 0, high = 0;
    for (std::size_t i = 0; i < text.size(); i++) {
        const auto first = static_cast<unsigned char>(bytes[i] - 0x0B), second = static_cast<unsigned char>(bytes[i] - 0x1C);
        found |= (first < 3) | (second < 3);
        high |= bytes[i];
    }
    if (found || high < 0x80) return found;
    for (std::size_t i = 0; i + 1 < text.size(); i++) {
        const unsigned char one = bytes[i], next = bytes[i + 1];
        found |= ((one == 0xC2) & (next == 0x85)) | ((one == 0x80) & ((next | 1) == 0xA9));
    }
    return found;
}

// Without `\[\d*\]`, `\[edit\]` and `\[citation needed\]`.
std::string without_citations(Text line) {
    std::string left;
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t open = line.find('[', at);
        left.append(line.substr(at, open - at));
        if (open == Text::npos) break;
        std::size_t stop = open + 1;
        while (stop < line.size()) {
            const Char found = char_at(line, stop);
            if (!is(found.code, DIGIT)) break;
            stop += found.size;
        }
        at = open;
        const Text rest = line.substr(open);
        if (stop < line.size() && line[stop] == ']') at = stop + 1;
        for (const Text mark : {Text("[edit]"), Text("[citation needed]")})
            if (rest.starts_with(mark)) at = open + mark.size();
        if (at == open) left += line[at++];
    }
    return left;
}

void append_line(std::string& text, bool first, Text line) {
    if (!first) text += '\n';
    text += line;
}

std::vector<std::string> phrases_in_lines(const LineRules& rules) {
    std::vector<std::string> phrases = rules.drop_lines_with;
    if (rules.page_phrases) {
        phrases.push_back(LOREM_IPSUM);
        phrases.insert(phrases.end(), rules.curly_brackets.begin(), rules.curly_brackets.end());
    }
    return phrases;
}

} // namespace

LineFilter::LineFilter(LineRules rules)
    : rules_(std::move(rules)), any_phrase_(phrases_in_lines(rules_)), dropping_(rules_.drop_lines_with), javascript_(false) {
    for (const std::string& phrase : rules_.drop_lines_with) javascript_ |= phrase == JAVASCRIPT;
    for (const std::string& mark : rules_.end_marks) may_end_[static_cast<unsigned char>(mark.back())] = true;
    if (rules_.citations) may_end_[static_cast<unsigned char>(']')] = true;
    for (const std::string& mark : rules_.end_marks)
        if (mark.size() == 1) ends_[static_cast<unsigned char>(mark[0])] = true;
    for (std::size_t byte = 0; byte < unicode_space_ends.size(); byte++) may_end_[byte] |= unicode_space_ends[byte];
}

bool LineFilter::ends_well(Text line) const {
    bool marked = !line.empty() && ends_[static_cast<unsigned char>(line.back())];
    if (!marked)
        for (const std::string& mark : rules_.end_marks) marked |= line.ends_with(mark);
    if (!marked) return false;
    for (const std::string& ending : rules_.refused_endings)
        if (line.ends_with(ending)) return false;
    return true;
}

LineFate LineFilter::judge(Text& line, std::string& holder) const {
    if (rules_.most_word_chars && has_longer_word(line, rules_.most_word_chars)) return LineFate::TOO_LONG_WORD;
    if (line.empty() || !may_end_[static_cast<unsigned char>(line.back())]) return LineFate::NO_END_MARK;
    line = strip(line);
    if (rules_.citations && line.find('[') != Text::npos) line = holder = without_citations(line);
    if (!ends_well(line)) return LineFate::NO_END_MARK;
    return has_words(line, rules_.least_words) ? LineFate::KEPT : LineFate::TOO_FEW_WORDS;
}

// Most lines have none of the phrases, which one search tells.
LineFate LineFilter::judge_phrases(Text line, std::uint8_t phrases) const {
    if (!any_phrase_.may_stand_in(line)) return LineFate::KEPT;
    const std::string low = lower(line);
    if (rules_.page_phrases && phrases & LOREM && low.find(LOREM_IPSUM) != std::string::npos) return LineFate::LOREM_IPSUM;
    if (javascript_ && low.find(JAVASCRIPT) != std::string::npos) return LineFate::JAVASCRIPT;
    if (rules_.page_phrases && phrases & CURLY)
        for (const std::string& bracket : rules_.curly_brackets)
            if (line.find(bracket) != Text::npos) return LineFate::CURLY_BRACKET;
    return dropping_.stands_in(low) ? LineFate::POLICY : LineFate::KEPT;
}

LineFate LineFilter::fate_of(Text& line, std::uint8_t phrases, std::string& holder) const {
    LineFate fate = judge(line, holder);
    if (fate == LineFate::KEPT) fate = judge_phrases(line, phrases);
    line = fate == LineFate::KEPT ? strip(line) : Text();
    return fate;
}

Text LineFilter::dropping_line(Text text, std::uint8_t phrases) const {
    Text found;
    std::string holder;
    split(text, [&](Text line) {
        if (!found.empty()) return;
        // A phrase may also come to be where a citation mark goes.
        if (line.find('[') == Text::npos && !any_phrase_.may_stand_in(line)) return;
        Text left = line;
        if (fate_of(left, phrases, holder) >= LineFate::LOREM_IPSUM) found = line;
    });
    return found;
}

LineFilter::Kept LineFilter::keep(Text body, std::uint8_t phrases, LineCounts& counts) const {
    Kept found;
    found.text.reserve(body.size());
    std::array<std::uint64_t, LINE_FATES> fates{};
    std::string holder;
    const auto take = [&](Text line) {
        if (line.empty()) return;
        const LineFate fate = judge(line, holder);
        std::uint64_t& of_fate = fates[static_cast<std::size_t>(fate)];
        if (fate == LineFate::KEPT) append_line(found.text, !of_fate, line);
        of_fate++;
    };
    if (may_have_more_line_ends(body))
        for (const Text line : splitlines(body)) split(line, take); // in what is no UTF-8 some hold a \n
    else
        split(body, take);

    const auto counted = [&](LineFate fate) { return fates[static_cast<std::size_t>(fate)]; };
    const std::uint64_t kept = counted(LineFate::KEPT);
    counts.read += std::accumulate(fates.begin(), fates.end(), std::uint64_t{0});
    counts.no_end_mark += counted(LineFate::NO_END_MARK);
    counts.too_long_word += counted(LineFate::TOO_LONG_WORD);
    counts.too_few_words += counted(LineFate::TOO_FEW_WORDS);
    if (!kept) return found;
    if (any_phrase_.may_stand_in(found.text)) {
        found.dropped_by = keep_by_phrases(kept, phrases, counts, found.text);
        if (found.dropped_by) return found;
    } else {
        counts.kept += kept;
    }
    const Text stripped = strip(found.text);
    if (stripped.size() != found.text.size()) found.text = std::string(stripped);
    return found;
}

// Line by line: most pages have none of the phrases, and never get here. `text` is that of so many lines, and becomes that
// of those that stay.
PagePhrase LineFilter::keep_by_phrases(
    std::size_t lines, std::uint8_t phrases, LineCounts& counts, std::string& text) const {
    std::string left;
    std::uint64_t kept = 0, javascript = 0, policy = 0;
    PagePhrase dropped_by = NO_PHRASE;
    split(text, [&](Text line) {
        if (dropped_by) return;
        switch (judge_phrases(line, phrases)) {
        case LineFate::LOREM_IPSUM: dropped_by = LOREM; break;
        case LineFate::CURLY_BRACKET: dropped_by = CURLY; break;
        case LineFate::JAVASCRIPT: javascript++; break;
        case LineFate::POLICY: policy++; break;
        default: append_line(left, !kept++, line);
        }
    });
    counts.javascript += javascript;
    counts.policy += policy;
    if (dropped_by)
        counts.of_dropped_pages += lines - javascript - policy;
    else
        counts.kept += kept;
    text = dropped_by ? std::string() : std::move(left);
    return dropped_by;
}

namespace {

// Are all lines stripped, and none of them empty? Of a text that is stripped itself.
bool has_stripped_lines(Text text) {
    for (std::size_t at = 0; (at = text.find('\n', at)) != Text::npos; at++)
        if (is(char_before(text, at).code, SPACE) || is(char_at(text, at + 1).code, SPACE)) return false;
    return true;
}

} // namespace

Text page_text(Text body, std::string& made) {
    body = strip(body);
    if (has_stripped_lines(body)) return body;
    made.clear();
    made.reserve(body.size());
    split(body, [&](Text line) {
        line = strip(line);
        if (line.empty()) return;
        if (!made.empty()) made += '\n';
        made += line;
    });
    return made;
}

} // namespace c4
