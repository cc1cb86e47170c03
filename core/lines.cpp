#include "lines.hpp"

#include <utility>

namespace c4 {

namespace {

const std::string LOREM_IPSUM = "lorem ipsum", JAVASCRIPT = "javascript";

// Is there what ends a line for str.splitlines, besides \n? Says yes of some texts in which there is none.
bool may_have_more_line_ends(Text text) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    unsigned found = 0;
    for (std::size_t i = 0; i < text.size(); i++)
        found |= (bytes[i] >= 0x0B && bytes[i] <= 0x0D) | (bytes[i] >= 0x1C && bytes[i] <= 0x1E);
    for (std::size_t i = 0; i + 1 < text.size(); i++)
        found |= (bytes[i] == 0xC2 && bytes[i + 1] == 0x85) | (bytes[i] == 0x80 && (bytes[i + 1] | 1) == 0xA9);
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

std::string joined(const std::vector<Text>& lines) {
    std::size_t size = 0;
    for (const Text line : lines) size += line.size() + 1;
    std::string text;
    text.reserve(size);
    for (std::size_t i = 0; i < lines.size(); i++) {
        if (i) text += '\n';
        text += lines[i];
    }
    return text;
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
    std::string space;
    for (std::uint32_t code = 0; code < CODE_POINTS; code++) {
        if (!is(code, SPACE)) continue;
        space.clear();
        append_char(space, code);
        may_end_[static_cast<unsigned char>(space.back())] = true;
    }
}

bool LineFilter::ends_well(Text line) const {
    bool marked = false;
    for (const std::string& mark : rules_.end_marks) marked |= line.ends_with(mark);
    if (!marked) return false;
    for (const std::string& ending : rules_.refused_endings)
        if (line.ends_with(ending)) return false;
    return true;
}

LineFilter::Kept LineFilter::keep(Text body, std::uint8_t phrases, LineCounts& counts) const {
    std::vector<Text> kept;
    std::vector<std::string> changed; // lines of `kept` that had marks of citations
    std::vector<std::pair<std::size_t, std::size_t>> places;
    std::uint64_t read = 0, too_long_word = 0, too_few_words = 0;
    const auto take = [&](Text line) {
        if (line.empty()) return;
        read++;
        const bool may_end = may_end_[static_cast<unsigned char>(line.back())];
        if (rules_.most_word_chars && line.size() > rules_.most_word_chars && has_longer_word(line, rules_.most_word_chars)) {
            too_long_word++;
            return;
        }
        if (!may_end) return;
        line = strip(line);
        if (rules_.citations && line.find('[') != Text::npos) {
            std::string left = without_citations(line);
            if (left.size() != line.size()) {
                if (!ends_well(left)) return;
                if (!has_words(left, rules_.least_words)) {
                    too_few_words++;
                    return;
                }
                places.emplace_back(kept.size(), changed.size());
                changed.push_back(std::move(left));
                kept.emplace_back();
                return;
            }
        }
        if (!ends_well(line)) return;
        if (has_words(line, rules_.least_words))
            kept.push_back(line);
        else
            too_few_words++;
    };
    if (may_have_more_line_ends(body))
        for (const Text line : splitlines(body)) take(line);
    else
        split(body, take);
    for (const auto& [at, index] : places) kept[at] = changed[index];

    counts.read += read;
    counts.too_long_word += too_long_word;
    counts.too_few_words += too_few_words;
    counts.no_end_mark += read - too_long_word - too_few_words - kept.size();
    Kept found;
    if (kept.empty()) return found;
    found.text = joined(kept);
    if (any_phrase_.may_stand_in(found.text)) {
        found.dropped_by = judge_phrases(kept, phrases, counts, found.text);
        if (found.dropped_by) return found;
    } else {
        counts.kept += kept.size();
    }
    const Text stripped = strip(found.text);
    if (stripped.size() != found.text.size()) found.text = std::string(stripped);
    return found;
}

// Line by line: most pages have none of the phrases, and never get here.
PagePhrase LineFilter::judge_phrases(
    const std::vector<Text>& lines, std::uint8_t phrases, LineCounts& counts, std::string& text) const {
    std::vector<Text> kept;
    std::uint64_t javascript = 0, policy = 0;
    PagePhrase dropped_by = NO_PHRASE;
    const auto has_curly = [&](Text line) {
        for (const std::string& bracket : rules_.curly_brackets)
            if (line.find(bracket) != Text::npos) return true;
        return false;
    };
    for (const Text line : lines) {
        const std::string low = lower(line);
        if (rules_.page_phrases && phrases & LOREM && low.find(LOREM_IPSUM) != std::string::npos) {
            dropped_by = LOREM;
            break;
        }
        if (javascript_ && low.find(JAVASCRIPT) != std::string::npos) {
            javascript++;
            continue;
        }
        if (rules_.page_phrases && phrases & CURLY && has_curly(line)) {
            dropped_by = CURLY;
            break;
        }
        if (dropping_.stands_in(low)) {
            policy++;
            continue;
        }
        kept.push_back(line);
    }
    counts.javascript += javascript;
    counts.policy += policy;
    if (dropped_by)
        counts.of_dropped_pages += lines.size() - javascript - policy;
    else
        counts.kept += kept.size();
    text = dropped_by ? std::string() : joined(kept);
    return dropped_by;
}

std::string page_text(Text body) {
    std::string text;
    text.reserve(body.size());
    split(body, [&](Text line) {
        line = strip(line);
        if (line.empty()) return;
        if (!text.empty()) text += '\n';
        text += line;
    });
    return text;
}

} // namespace c4
