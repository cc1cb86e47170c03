// Text as Python sees it: code points, their kinds by the running Python's own Unicode data, strip, split, lower.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace c4 {

// A text in UTF-8. What is no UTF-8 never gets here: bodies are checked where records are read.
using Text = std::string_view;

// Sets and maps of texts in which any text can be looked up, no copy made of it.
struct TextHash : std::hash<Text> {
    using is_transparent = void;
};
using TextSet = std::unordered_set<std::string, TextHash, std::equal_to<>>;
template <class Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

// Kinds of a code point, bits of `kinds_of`.
enum Kind : std::uint8_t {
    SPACE = 1,     // str.isspace, \s
    WORD = 2,      // \w
    DIGIT = 4,     // \d
    UPPER = 8,     // str.isupper, of one character
    LOWER = 16,    // str.islower, of one character
    LINE_END = 32, // where str.splitlines ends a line
    CHANGES = 64,  // str.lower changes it
};

constexpr std::uint32_t CODE_POINTS = 0x110000;
constexpr std::uint32_t I_WITH_DOT = 0x130; // the one character whose lower case is two: i and U+0307

// Fills the tables from the running Python. Called once, when the module is imported.
void make_unicode_tables();

// Planes without letters are never written to, and take no memory.
extern std::array<std::uint8_t, CODE_POINTS> unicode_kinds;
extern std::array<std::int32_t, CODE_POINTS> unicode_to_lower; // what is to be added; nothing for U+0130, which becomes two

extern std::array<bool, 256> unicode_space_ends;    // is this the last byte of a space?

inline std::uint8_t kinds_of(std::uint32_t code) { return unicode_kinds[code]; }
inline bool is(std::uint32_t code, std::uint8_t kinds) { return unicode_kinds[code] & kinds; }

struct Char {
    std::uint32_t code;
    std::uint32_t size; // bytes
};

// The character that begins at `at`, which must lie within the text. A cut one is as long as what is left of it.
inline Char char_at(Text text, std::size_t at) {
    auto byte = [&](std::size_t i) -> std::uint32_t { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0x80; };
    const auto size = [&](std::uint32_t whole) { return text.size() - at < whole ? static_cast<std::uint32_t>(text.size() - at) : whole; };
    const std::uint32_t first = byte(at);
    if (first < 0x80) return {first, 1};
    if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(at + 1) & 0x3F), size(2)};
    if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(at + 1) & 0x3F) << 6 | (byte(at + 2) & 0x3F), size(3)};
    const std::uint32_t code = (first & 0x07) << 18 | (byte(at + 1) & 0x3F) << 12 | (byte(at + 2) & 0x3F) << 6 | (byte(at + 3) & 0x3F);
    return {code < CODE_POINTS ? code : 0xFFFD, size(4)};
}

// The character that ends at `end`, which must not be 0.
inline Char char_before(Text text, std::size_t end) {
    std::size_t at = end - 1;
    while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) at--;
    return char_at(text.substr(0, end), at);
}

void append_char(std::string& to, std::uint32_t code);

bool is_utf8(Text text);                         // as Python decodes it: no surrogates, nothing overlong

// 0x20 for capital letters of ASCII, what they lack of small ones. No branches: the compiler does it for many bytes at once.
constexpr unsigned char case_bit(unsigned char byte) { return static_cast<unsigned char>((static_cast<unsigned char>(byte - 'A') < 26) << 5); }
inline bool is_ascii(Text text) {
    unsigned char all = 0;
    for (const char byte : text) all |= static_cast<unsigned char>(byte);
    return all < 0x80;
}
std::size_t ascii_from(Text text, std::size_t at); // how many bytes of ASCII it has from `at` on
Text strip(Text text);                           // str.strip
Text rstrip(Text text);                          // str.rstrip
bool has_words(Text text, std::size_t least);    // len(str.split) >= least
bool has_longer_word(Text text, std::size_t most); // some word of str.split has more than `most` code points
std::size_t next_change(Text text, std::size_t at); // where the next character outside ASCII is that str.lower changes, or the end
std::string lower(Text text);                    // str.lower
// Calls `take` with each of str.split("\n").
template <class Take>
void split(Text text, Take take) {
    for (std::size_t start = 0;;) {
        const std::size_t stop = text.find('\n', start);
        take(text.substr(start, stop - start));
        if (stop == Text::npos) return;
        start = stop + 1;
    }
}
std::vector<Text> splitlines(Text text);         // str.splitlines

} // namespace c4
