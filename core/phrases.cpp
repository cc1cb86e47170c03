#include "phrases.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace c4 {

namespace {

// [256]: the byte, capital letters of ASCII as small ones.
constexpr auto FOLDED = [] {
    std::array<unsigned char, 256> table{};
    for (unsigned byte = 0; byte < 256; byte++)
        table[byte] = static_cast<unsigned char>(byte | case_bit(static_cast<unsigned char>(byte)));
    return table;
}();

// 1 for bytes of words of ASCII. No branches: the compiler does it for many bytes at once.
constexpr unsigned char is_word_byte(unsigned char byte) {
    const auto letter = static_cast<unsigned char>((byte | 0x20) - 'a'), digit = static_cast<unsigned char>(byte - '0');
    return (letter < 26) | (digit < 10) | (byte == '_');
}

inline unsigned char folded(Text text, std::size_t at) { return FOLDED[static_cast<unsigned char>(text[at])]; }

// True if `phrase` stands at `at` of the text, whose capital letters of ASCII are taken for small ones.
bool stands_folded(Text text, std::size_t at, Text phrase) {
    if (text.size() - at < phrase.size()) return false;
    for (std::size_t i = 0; i < phrase.size(); i++)
        if (folded(text, at + i) != static_cast<unsigned char>(phrase[i])) return false;
    return true;
}

// The same anywhere, of a phrase of one byte or two, or of none.
bool stands_short(Text text, Text phrase) {
    if (phrase.empty()) return true;
    const bool letter = static_cast<unsigned char>((phrase[0] | 0x20) - 'a') < 26;
    for (std::size_t at = 0; at < text.size(); at++) {
        if (!letter) at = text.find(phrase[0], at);
        if (at == Text::npos) return false;
        if (stands_folded(text, at, phrase)) return true;
    }
    return false;
}

// Of three bytes at `at`, or four. The case of letters is not in it, nor are some other bits.
constexpr unsigned SHIFT_BITS = 12, BEGIN_BITS = 16;
inline std::uint32_t hash_of_three(Text text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]) | 0x20u; };
    return (byte(0) | byte(1) << 8 | byte(2) << 16) * 0x9E3779B1u >> (32 - SHIFT_BITS);
}
inline std::uint32_t hash_of_four(const char* bytes) {
    std::uint32_t four;
    std::memcpy(&four, bytes, 4);
    return (four | 0x20202020u) * 0x9E3779B1u >> (32 - BEGIN_BITS);
}

// The two characters outside ASCII whose lower case holds ASCII: the Kelvin sign, and I with dot.
bool folds_to_ascii(Text text) {
    return text.find("\xE2\x84\xAA") != Text::npos || text.find("\xC4\xB0") != Text::npos;
}

// Bit i: byte i belongs to a word of ASCII; of 64 bytes at most.
std::uint64_t word_bytes(Text bytes) {
    static_assert(std::endian::native == std::endian::little);
    std::array<unsigned char, 64> block{}, flags;
    if (bytes.size() == block.size())
        std::memcpy(block.data(), bytes.data(), block.size());
    else
        std::memcpy(block.data(), bytes.data(), bytes.size());
    for (std::size_t i = 0; i < block.size(); i++) flags[i] = is_word_byte(block[i]);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < block.size(); i += 8) { // a product puts eight flags side by side
        std::uint64_t eight;
        std::memcpy(&eight, flags.data() + i, 8);
        bits |= (eight * 0x0102040810204080u >> 56) << i;
    }
    return bits;
}

// A text and its lower case side by side.
class Lowered {
public:
    Lowered(Text text, Text low) : text_(text), low_(low) {}

    // The number of the character whose lower case byte `place` of `low` belongs to. Places must come in order.
    std::size_t character_of(std::size_t place) {
        while (at_ < text_.size() && low_at_ < low_.size()) {
            const Char one = char_at(text_, at_);
            const std::size_t size = one.code == I_WITH_DOT ? 3 : char_at(low_, low_at_).size;
            if (place < low_at_ + size) break;
            at_ += one.size;
            low_at_ += size;
            number_++;
        }
        return number_;
    }

private:
    Text text_, low_;
    std::size_t at_ = 0, low_at_ = 0, number_ = 0;
};

bool word_char_before(Text text, std::size_t at) { return at > 0 && is(char_before(text, at).code, WORD); }
bool word_char_at(Text text, std::size_t at) { return at < text.size() && is(char_at(text, at).code, WORD); }

} // namespace

Phrases::Phrases(const std::vector<std::string>& phrases) {
    for (const std::string& phrase : phrases) {
        ascii_ &= is_ascii(phrase);
        (phrase.size() < 3 ? short_ : long_).emplace_back(phrase);
    }
    least_ = 255; // for one byte of `shifts_`
    for (const std::string& phrase : long_) least_ = std::min(least_, phrase.size());
    shifts_.fill(static_cast<std::uint8_t>(least_ - 2));
    for (const std::string& phrase : long_) {
        for (std::size_t at = 0; at + 3 <= least_; at++) {
            std::uint8_t& shift = shifts_[hash_of_three(phrase, at)];
            shift = std::min(shift, static_cast<std::uint8_t>(least_ - 3 - at));
        }
    }
}

bool Phrases::may_stand_in(Text text) const {
    if (!ascii_) return stands_in(lower(text));
    return stands_in(text) || (!is_ascii(text) && folds_to_ascii(text) && stands_in(lower(text)));
}

// Wu and Manber's search, after their paper of 1994: three bytes say how far the next place is where a phrase may begin.
// Each place waits for the one before, so four parts of a text are searched at once.
bool Phrases::stands_in(Text low) const {
    for (const std::string& phrase : short_)
        if (stands_short(low, phrase)) return true;
    if (long_.empty() || low.size() < least_) return false;
    constexpr std::size_t PARTS = 4;
    const std::size_t places = low.size() - least_ + 1;
    std::size_t ends[PARTS], stops[PARTS];
    for (std::size_t part = 0; part < PARTS; part++) {
        ends[part] = least_ + places * part / PARTS;
        stops[part] = least_ + places * (part + 1) / PARTS;
    }
    const auto shift_at = [&](std::size_t end) { return shifts_[hash_of_three(low, end - 3)]; };
    while (ends[0] < stops[0] && ends[1] < stops[1] && ends[2] < stops[2] && ends[3] < stops[3]) {
        std::array<std::size_t, PARTS> shifts;
        for (std::size_t part = 0; part < PARTS; part++) shifts[part] = shift_at(ends[part]);
        for (std::size_t part = 0; part < PARTS; part++) {
            if (shifts[part] == 0 && stands_at(low, ends[part] - least_)) return true;
            ends[part] += std::max<std::size_t>(shifts[part], 1);
        }
    }
    for (std::size_t part = 0; part < PARTS; part++) {
        for (std::size_t end = ends[part]; end < stops[part];) {
            const std::size_t shift = shift_at(end);
            if (shift == 0 && stands_at(low, end - least_)) return true;
            end += std::max<std::size_t>(shift, 1);
        }
    }
    return false;
}

bool Phrases::stands_at(Text text, std::size_t at) const {
    return std::any_of(long_.begin(), long_.end(), [&](const std::string& phrase) { return stands_folded(text, at, phrase); });
}

BadWords::BadWords(const std::vector<std::string>& words) {
    std::vector<std::string> sorted(words);
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    if (!sorted.empty() && sorted.front().empty()) {
        empty_ = true;
        sorted.erase(sorted.begin());
    }
    const auto mark = [&](const std::string& bytes) {
        const std::uint32_t hash = hash_of_four(bytes.data());
        may_begin_[hash / 64] |= std::uint64_t{1} << hash % 64;
    };
    for (const std::string& word : sorted) {
        if (word.size() < 3)
            begins_short_[static_cast<unsigned char>(word[0])] = true;
        else if (word.size() > 3)
            mark(word);
        else
            for (int next = 0; next < 256; next++)
                if (!is_word_byte(static_cast<unsigned char>(next))) mark(word + static_cast<char>(next));
    }
    grow(sorted);
}

// Level by level: a node stands for the words from `first` to `last` that have the same first `depth` bytes.
void BadWords::grow(const std::vector<std::string>& words) {
    struct Range {
        std::size_t first, last, depth;
    };
    std::vector<Range> ranges{{0, words.size(), 0}};
    nodes_.push_back({});
    for (std::size_t node = 0; node < nodes_.size(); node++) {
        auto [first, last, depth] = ranges[node];
        if (first < last && words[first].size() == depth) { // the shortest comes first
            nodes_[node].is_word = true;
            first++;
        }
        nodes_[node].first_child = static_cast<std::uint32_t>(nodes_.size());
        while (first < last) {
            std::size_t next = first;
            while (next < last && words[next][depth] == words[first][depth]) next++;
            Node child;
            child.byte = static_cast<std::uint8_t>(words[first][depth]);
            nodes_.push_back(child);
            ranges.push_back({first, next, depth + 1});
            nodes_[node].children++;
            first = next;
        }
    }
    nodes_[0].is_word = false;
}

// Calls `take` with each place where a word may stand, in order, until it returns true; returns whether it did.
template <class Take>
bool BadWords::any_start(Text text, Take take) const {
    constexpr std::size_t BLOCK = 64;
    std::uint64_t after_word = 0; // 1: the byte before the block belongs to a word of ASCII
    for (std::size_t block = 0; block < text.size(); block += BLOCK) {
        const Text bytes = text.substr(block, BLOCK);
        const std::uint64_t words = word_bytes(bytes);
        std::uint64_t starts = ~(words << 1 | after_word);
        if (bytes.size() < BLOCK) starts &= (std::uint64_t{1} << bytes.size()) - 1;
        after_word = words >> 63;
        for (; starts; starts &= starts - 1) {
            const std::size_t at = block + static_cast<std::size_t>(std::countr_zero(starts));
            if (may_begin(text, at) && take(at)) return true;
        }
    }
    return false;
}

bool BadWords::stands_in(Text text) const {
    if (nodes_[0].children == 0 && !empty_) return false;
    const auto stands = [&](Text low) {
        return (empty_ && has_empty_place(low)) || any_start(low, [&](std::size_t at) { return end_at(low, at) > 0; });
    };
    return is_ascii(text) || next_change(text, 0) == text.size() ? stands(text) : stands(lower(text));
}

bool BadWords::may_begin(Text text, std::size_t at) const {
    if (text.size() - at < 4 || begins_short_[folded(text, at)]) return true;
    const std::uint32_t hash = hash_of_four(text.data() + at);
    return may_begin_[hash / 64] >> hash % 64 & 1;
}

// Where the shortest word that stands at `at` ends; 0 where none does. The text is folded as it is read.
std::size_t BadWords::end_at(Text text, std::size_t at) const {
    const Node* node = nodes_.data();
    for (std::size_t end = at; end < text.size();) {
        const unsigned char byte = folded(text, end);
        const Node *child = nodes_.data() + node->first_child, *last = child + node->children;
        while (child != last && child->byte != byte) child++;
        if (child == last) return 0;
        node = child;
        end++;
        if (node->is_word && !word_char_at(text, end)) return word_char_before(text, at) ? 0 : end;
    }
    return 0;
}

std::vector<Place> BadWords::places(Text text) const {
    const std::string low = lower(text);
    std::vector<Place> found; // bytes of `low`
    std::size_t from = 0;
    if (!low.empty()) { // the expression takes a character before a word where it can: at the beginning too
        const std::size_t second = char_at(low, 0).size;
        if (end_at(low, second)) from = second;
    }
    any_start(low, [&](std::size_t at) {
        const std::size_t end = at < from ? 0 : end_at(low, at);
        if (end) {
            found.emplace_back(at, end);
            from = end + 1; // what stands behind a word may be before the next one
        }
        return false;
    });
    for (Lowered walk(text, low); auto& [start, stop] : found) {
        start = walk.character_of(start);
        stop = walk.character_of(stop);
    }
    return found;
}

// True if two characters beside each other, or the ends of the text, are no word characters.
bool BadWords::has_empty_place(Text text) const {
    bool before = false;
    for (std::size_t at = 0; at < text.size();) {
        const Char found = char_at(text, at);
        const bool word = is(found.code, WORD);
        if (!word && !before) return true;
        before = word;
        at += found.size;
    }
    return !before;
}

} // namespace c4
