#include "sentences.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace c4 {

namespace {

constexpr std::size_t NONE = Text::npos;

// Flags of contexts: the case a word type was seen in, at the beginning or in the middle of sentences, or somewhere.
enum Context { BEG_UC = 2, MID_UC = 4, UNK_UC = 8, BEG_LC = 16, MID_LC = 32, UNK_LC = 64 };
constexpr int ANY_UC = BEG_UC | MID_UC | UNK_UC, ANY_LC = BEG_LC | MID_LC | UNK_LC;

// Kinds of a byte.
enum Class : std::uint8_t {
    NON_WORD = 1,  // ends a word: [)";}\]*:@'({\[!?]
    NO_START = 2,  // begins none: [("`{\[:;&#*@)}\]\-,]
    CLOSING = 4,   // ["')\]}]
    BLANK = 8,     // string.whitespace of Python
    IN_WORD = 16,  // ASCII, and ends no word, whatever stands beside it
};
constexpr auto CLASSES = [] {
    std::array<std::uint8_t, 256> table{};
    const auto add = [&](Text bytes, std::uint8_t of) {
        for (const char byte : bytes) table[static_cast<unsigned char>(byte)] |= of;
    };
    add(")\";}]*:@'({[!?", NON_WORD);
    add("(\"`{[:;&#*@)}]-,", NO_START);
    add("\"')]}", CLOSING);
    add(" \n\t\r\x0b\x0c", BLANK);
    for (unsigned byte = 0x20; byte < 0x7F; byte++)
        if (!(table[byte] & (NON_WORD | BLANK)) && byte != '.' && byte != ',' && byte != '-') table[byte] |= IN_WORD;
    return table;
}();
inline bool is_of(Text text, std::size_t at, std::uint8_t classes) {
    return CLASSES[static_cast<unsigned char>(text[at])] & classes;
}

// Bytes of the space of any kind at `at`; 0 where there is none.
inline std::size_t space_at(Text text, std::size_t at) {
    if (at >= text.size()) return 0;
    const Char found = char_at(text, at);
    return is(found.code, SPACE) ? found.size : 0;
}
std::size_t after_spaces(Text text, std::size_t at) {
    while (const std::size_t size = space_at(text, at)) at += size;
    return at;
}
std::size_t after_word(Text text, std::size_t at) {
    while (at < text.size() && !space_at(text, at)) at += char_at(text, at).size;
    return std::min(at, text.size());
}

bool is_letter(char byte) { return static_cast<unsigned char>((byte | 0x20) - 'a') < 26; }
bool is_mark(char byte) { return byte == '.' || byte == '?' || byte == '!'; }
// Eight bytes at a time. Of the bits that `zeros` sets the lowest is true, and no other is asked for.
std::size_t find_mark(Text text, std::size_t at) {
    static_assert(std::endian::native == std::endian::little);
    constexpr std::uint64_t ONES = 0x0101010101010101u;
    const auto zeros = [](std::uint64_t bytes) { return (bytes - ONES) & ~bytes & ONES << 7; };
    for (; text.size() - at >= 8; at += 8) {
        std::uint64_t eight;
        std::memcpy(&eight, text.data() + at, 8);
        const std::uint64_t marks = zeros(eight ^ ONES * '.') | zeros(eight ^ ONES * '?') | zeros(eight ^ ONES * '!');
        if (marks) return at + static_cast<std::size_t>(std::countr_zero(marks)) / 8;
    }
    while (at < text.size() && !is_mark(text[at])) at++;
    return at;
}

// Where the next period is, if the one at `at` and a space stand before it.
std::size_t spaced_period(Text line, std::size_t at) {
    const std::size_t space = space_at(line, at + 1);
    const std::size_t next = at + 1 + space;
    return space && next < line.size() && line[next] == '.' ? next : NONE;
}

// Does -{2,}|\.{2,}|(?:\.\s){2,}\. begin at `at`?
bool is_multi(Text line, std::size_t at) {
    if (line[at] != '-' && line[at] != '.') return false;
    if (at + 1 < line.size() && line[at + 1] == line[at]) return true;
    if (line[at] != '.') return false;
    const std::size_t second = spaced_period(line, at);
    return second != NONE && spaced_period(line, second) != NONE;
}
std::size_t multi_end(Text line, std::size_t at) {
    if (line[at] == '.' && (at + 1 == line.size() || line[at + 1] != '.')) {
        for (std::size_t next; (next = spaced_period(line, at)) != NONE;) at = next;
        return at + 1;
    }
    return std::min(line.find_first_not_of(line[at], at), line.size());
}

// Does a word that has begun end in front of `at`?
bool ends_word(Text line, std::size_t at) {
    if (is_of(line, at, IN_WORD)) return false;
    if (is_of(line, at, NON_WORD) || space_at(line, at) || is_multi(line, at)) return true;
    if (line[at] != ',') return false;
    return at + 1 == line.size() || is_of(line, at + 1, NON_WORD) || space_at(line, at + 1) || is_multi(line, at + 1);
}

// Where the token ends that begins at `at`, which is no space.
std::size_t token_end(Text line, std::size_t at) {
    if (is_multi(line, at)) return multi_end(line, at);
    std::size_t end = at + char_at(line, at).size;
    if (!is_of(line, at, NO_START))
        while (end < line.size() && !ends_word(line, end)) end += char_at(line, end).size;
    return std::min(end, line.size());
}

// ^-?[.,]?\d[\d,.\-]*\.?$
bool is_number(Text text) {
    std::size_t at = !text.empty() && text[0] == '-';
    if (at < text.size() && (text[at] == '.' || text[at] == ',')) at++;
    for (bool first = true; first || at < text.size(); first = false) {
        if (at >= text.size()) return false;
        const Char found = char_at(text, at);
        const bool between = !first && (found.code == ',' || found.code == '.' || found.code == '-');
        if (!between && !is(found.code, DIGIT)) return false;
        at += found.size;
    }
    return true;
}

constexpr Text NUMBER = "##number##";

Text without_period(Text text) { return text.size() > 1 && text.ends_with('.') ? text.substr(0, text.size() - 1) : text; }
bool is_ellipsis(Text token) { return token.size() > 1 && token.find_first_not_of('.') == NONE; }
bool is_initial(Text token) { // [^\W\d]\.
    const Char first = char_at(token, 0);
    return token.size() == first.size + 1 && token.ends_with('.') && is(first.code, WORD) && !is(first.code, DIGIT);
}

} // namespace

Punkt::Punkt(const std::vector<std::string>& abbreviations,
             const std::vector<std::pair<std::string, std::string>>& collocations, const std::vector<std::string>& starters,
             const std::unordered_map<std::string, int>& contexts)
    : abbreviations_(abbreviations.begin(), abbreviations.end()), starters_(starters.begin(), starters.end()),
      contexts_(contexts.begin(), contexts.end()) {
    for (const auto& [first, second] : collocations) collocations_[first].insert(second);
    unsure_ = abbreviations_;
    for (const auto& [first, seconds] : collocations_) unsure_.insert(first);
    for (const std::string& word : unsure_) longest_unsure_ = std::max(longest_unsure_, word.size());
}

std::vector<Span> Punkt::spans(Text text) const {
    std::vector<Span> found;
    Sentences sentences(*this, text);
    while (const auto span = sentences.next()) found.push_back(*span);
    return found;
}

bool Punkt::has_sentences(Text text, std::size_t least) const {
    Sentences sentences(*this, text);
    while (least > 0 && sentences.next()) least--;
    return least == 0;
}

bool Punkt::sentences_in_lines(Text text, std::size_t least) const {
    for (std::size_t start = 0; least > 0 && start <= text.size();) {
        const std::size_t stop = std::min(text.find('\n', start), text.size());
        Sentences sentences(*this, text.substr(start, stop - start));
        while (least > 0 && sentences.next()) least--;
        start = stop + 1;
    }
    return least == 0;
}

std::size_t Punkt::count_sentences(Text text, bool by_line) const {
    std::size_t count = 0;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t stop = by_line ? std::min(text.find('\n', start), text.size()) : text.size();
        Sentences sentences(*this, text.substr(start, stop - start));
        while (sentences.next()) count++;
        start = stop + 1;
    }
    return count;
}

bool Punkt::contains_break(Text context) const {
    Text previous;
    for (std::size_t start = 0; start <= context.size();) {
        const std::size_t stop = std::min(context.find('\n', start), context.size());
        const Text line = context.substr(start, stop - start);
        for (std::size_t at = after_spaces(line, 0); at < line.size();) {
            const std::size_t end = token_end(line, at);
            const Text token = line.substr(at, end - at);
            if (!previous.empty() && breaks(previous, token)) return true;
            previous = token;
            at = after_spaces(line, end);
        }
        start = stop + 1;
    }
    return false;
}

bool Punkt::is_plain(Text word) const {
    if (word.size() < 2 || !std::all_of(word.begin(), word.end(), is_letter)) return false;
    return word.size() > longest_unsure_ || !unsure_.contains(lower(word));
}

// True if a sentence ends between two tokens.
bool Punkt::breaks(Text token, Text after) const {
    if (!token.ends_with('.')) return token == "?" || token == "!";
    const std::string low = lower(token);
    const bool ellipsis = is_ellipsis(token), initial = is_initial(token);
    const bool abbreviation = token.size() > 1 && !token.ends_with("..") && is_abbreviation(without_period(low));
    const bool is_break = !abbreviation && (token.size() == 1 || !token.ends_with(".."));
    const Text kind = is_number(low) ? NUMBER : without_period(low);

    const std::string after_low = lower(after);
    Text after_kind = is_number(after_low) ? NUMBER : Text(after_low);
    if (after_kind.ends_with('.') && !after_kind.ends_with("..") && !is_abbreviation(without_period(after_low)))
        after_kind = without_period(after_kind);
    if (is_collocation(kind, after_kind)) return false;

    const bool upper = is(char_at(after, 0).code, UPPER);
    if ((abbreviation || ellipsis) && !initial) {
        if (starts_sentence(after, after_kind).value_or(false)) return true;
        if (upper && starters_.contains(after_kind)) return true;
    }
    if (initial || kind == NUMBER) {
        const std::optional<bool> starts = starts_sentence(after, after_kind);
        if (starts == false) return false;
        if (!starts && initial && upper && !(context_of(after_kind) & ANY_LC)) return false;
    }
    return is_break;
}

bool Punkt::is_abbreviation(Text low) const {
    if (abbreviations_.contains(low)) return true;
    const std::size_t hyphen = low.rfind('-');
    return hyphen != NONE && abbreviations_.contains(low.substr(hyphen + 1));
}

bool Punkt::is_collocation(Text first, Text second) const {
    const auto found = collocations_.find(first);
    return found != collocations_.end() && found->second.contains(second);
}

int Punkt::context_of(Text kind) const {
    const auto found = contexts_.find(kind);
    return found == contexts_.end() ? 0 : found->second;
}

// Nothing where the case of `token` tells nothing.
std::optional<bool> Punkt::starts_sentence(Text token, Text kind) const {
    if (token.size() == 1 && Text(";:,.!?").find(token[0]) != NONE) return false;
    const int context = context_of(kind);
    const std::uint32_t first = char_at(token, 0).code;
    if (is(first, UPPER) && context & ANY_LC && !(context & MID_UC)) return true;
    if (is(first, LOWER) && (context & ANY_UC || !(context & BEG_LC))) return false;
    return std::nullopt;
}

// [.?!](?=NON_WORD|\s+\S+)
std::optional<Sentences::Candidate> Sentences::next_mark() {
    for (;;) {
        const std::size_t mark = find_mark(text_, at_);
        if (mark + 1 >= text_.size()) return std::nullopt;
        at_ = mark + 1;
        if (is_of(text_, at_, NON_WORD)) return Candidate{0, mark, at_};
        const std::size_t next = after_spaces(text_, at_);
        if (next > at_ && next < text_.size()) return Candidate{0, mark, next};
    }
}

// Of marks that share their word the last, as NLTK has it: words are parted by spaces of ASCII, and one in first place
// counts as none.
std::optional<Sentences::Candidate> Sentences::next_candidate() {
    while (std::optional<Candidate> found = next_mark()) {
        const std::size_t stop = waiting_ ? waiting_->mark : 0;
        std::size_t start = found->mark;
        while (start > stop + 1 && !is_of(text_, start - 1, BLANK)) start--;
        found->word = start > stop + 1 ? start : waiting_ ? waiting_->word : 0;
        const std::optional<Candidate> done = std::exchange(waiting_, found);
        if (done && done->mark <= found->word) return done;
    }
    return std::exchange(waiting_, std::nullopt);
}

bool Sentences::ends_sentence(const Candidate& candidate) const {
    const auto [word, mark, next] = candidate;
    if (text_[mark] != '.') return true;
    // Most are a plain word's and stand before another word: that is all that need be looked at.
    if (next > mark + 1 && is_letter(text_[next]) && punkt_.is_plain(text_.substr(word, mark - word))) return true;
    return punkt_.contains_break(context_of(candidate));
}

Text Sentences::context_of(const Candidate& candidate) const {
    const bool punctuation = candidate.next == candidate.mark + 1;
    const std::size_t stop = punctuation ? candidate.next + 1 : after_word(text_, candidate.next);
    return text_.substr(candidate.word, stop - candidate.word);
}

// One or more sentences, before closing punctuation goes to the sentence that it follows.
std::optional<Span> Sentences::next_raw() {
    while (const std::optional<Candidate> found = next_candidate()) {
        if (!ends_sentence(*found)) continue;
        return Span{std::exchange(last_break_, found->next), found->mark + 1};
    }
    if (ended_) return std::nullopt;
    ended_ = true;
    return Span{last_break_, rstrip(text_).size()};
}

std::optional<Span> Sentences::next() {
    while (previous_) {
        const Span span{previous_->first + std::exchange(shift_, 0), previous_->second};
        previous_ = next_raw();
        if (previous_) { // ["')\]}]+(?:\s+|(?=--)|$) within it
            const auto [start, stop] = *previous_;
            std::size_t end = start;
            while (end < stop && is_of(text_, end, CLOSING)) end++;
            const Text left = text_.substr(end, stop - std::min(stop, end));
            const std::size_t spaces = after_spaces(left, 0);
            if (end > start && (left.empty() || spaces || left.starts_with("--"))) {
                shift_ = end + spaces - start;
                return Span{span.first, end};
            }
        }
        if (span.first < span.second) return span;
    }
    return std::nullopt;
}

} // namespace c4
