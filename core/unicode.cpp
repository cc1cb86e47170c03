#include "unicode.hpp"

#include <Python.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

namespace c4 {

std::array<std::uint8_t, CODE_POINTS> unicode_kinds;
std::array<std::int32_t, CODE_POINTS> unicode_to_lower;
std::array<bool, 256> unicode_space_ends;

namespace {

// [first byte, second byte]: does a character outside ASCII begin so that str.lower changes? Of most none does.
std::array<bool, 64 * 64> may_change;
std::size_t begins_with(unsigned first, unsigned second) { return (first & 0x3F) << 6 | (second & 0x3F); }

// All that have letters, spaces or marks; the other planes are for private use, or not given out.
constexpr std::uint32_t PLANES[] = {0, 1, 2, 3, 14};

constexpr std::uint32_t CAPITAL_SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2;

// What decides whether a sigma is the last letter of a word. Python says it of no character: it is asked with a text
// around each. Made when the first capital sigma is met.
struct SigmaTables {
    std::vector<bool> cased, ignored; // [CODE_POINTS]; a character that is ignored is not asked whether it is cased
};

// Sets `found` for the characters of a plane behind which, and behind `before` if there is one, a sigma is a final one.
void ask_for_final_sigmas(std::uint32_t plane, const char* before, std::vector<bool>& found) {
    std::u32string text;
    std::vector<std::uint32_t> codes;
    for (std::uint32_t code = plane << 16; code < (plane + 1) << 16; code++) {
        if (code == '\n' || (code >= 0xD800 && code < 0xE000)) continue;
        for (const char* at = before; *at; at++) text += static_cast<char32_t>(*at);
        text += {static_cast<char32_t>(code), static_cast<char32_t>(CAPITAL_SIGMA), U'\n'};
        codes.push_back(code);
    }
    PyObject* made = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text.data(), static_cast<Py_ssize_t>(text.size()));
    PyObject* low = made ? PyObject_CallMethod(made, "lower", nullptr) : nullptr;
    std::size_t line = 0;
    Py_UCS4 last = 0;
    for (Py_ssize_t at = 0; low && at < PyUnicode_GET_LENGTH(low); at++) {
        const Py_UCS4 code = PyUnicode_READ_CHAR(low, at);
        if (code == '\n' && line < codes.size()) found[codes[line++]] = last == FINAL_SIGMA;
        last = code;
    }
    PyErr_Clear();
    Py_XDECREF(low);
    Py_XDECREF(made);
}

const SigmaTables& sigma_tables() {
    static SigmaTables tables;
    static std::atomic<bool> made = false;
    if (made) return tables;
    const PyGILState_STATE state = PyGILState_Ensure(); // nobody else makes them meanwhile
    if (!made) {
        tables.cased.resize(CODE_POINTS);
        tables.ignored.resize(CODE_POINTS);
        for (const std::uint32_t plane : PLANES) {
            ask_for_final_sigmas(plane, "", tables.cased);
            ask_for_final_sigmas(plane, "a", tables.ignored);
        }
        for (std::uint32_t code = 0; code < CODE_POINTS; code++)
            if (tables.cased[code]) tables.ignored[code] = false;
        made = true;
    }
    PyGILState_Release(state);
    return tables;
}

bool is_final_sigma(Text text, std::size_t at) {
    const SigmaTables& tables = sigma_tables();
    bool before = false;
    for (std::size_t end = at; end > 0;) {
        const Char found = char_before(text, end);
        end -= found.size;
        if (tables.ignored[found.code]) continue;
        before = tables.cased[found.code];
        break;
    }
    if (!before) return false;
    for (std::size_t next = at + 2; next < text.size();) {
        const Char found = char_at(text, next);
        next += found.size;
        if (!tables.ignored[found.code]) return !tables.cased[found.code];
    }
    return true;
}

} // namespace

// All of eight bytes are looked at together.
std::size_t ascii_from(Text text, std::size_t at) {
    constexpr std::size_t MANY = 32;
    std::size_t stop = at;
    for (std::uint64_t four[4]; text.size() - stop >= MANY; stop += MANY) {
        std::memcpy(four, text.data() + stop, MANY);
        if ((four[0] | four[1] | four[2] | four[3]) & 0x8080808080808080) break;
    }
    for (std::uint64_t eight; text.size() - stop >= sizeof eight; stop += sizeof eight) {
        std::memcpy(&eight, text.data() + stop, sizeof eight);
        if (const std::uint64_t high = eight & 0x8080808080808080) {
            if constexpr (std::endian::native != std::endian::little) break;
            return stop + static_cast<std::size_t>(std::countr_zero(high)) / 8 - at;
        }
    }
    while (stop < text.size() && static_cast<unsigned char>(text[stop]) < 0x80) stop++;
    return stop - at;
}

void make_unicode_tables() {
    for (const std::uint32_t plane : PLANES)
        for (std::uint32_t code = plane << 16; code < (plane + 1) << 16; code++) {
            std::uint8_t kinds = 0;
            if (Py_UNICODE_ISSPACE(code)) kinds |= SPACE;
            if (Py_UNICODE_ISLINEBREAK(code)) kinds |= LINE_END;
            unicode_kinds[code] = kinds;
            std::string bytes;
            if (kinds & SPACE) {
                append_char(bytes, code);
                unicode_space_ends[static_cast<unsigned char>(bytes.back())] = true;
            }
            if (!Py_UNICODE_ISPRINTABLE(code)) continue; // half of them: not given out, or no letters
            const auto low = static_cast<std::uint32_t>(Py_UNICODE_TOLOWER(code));
            if (Py_UNICODE_ISALNUM(code) || code == '_') kinds |= WORD;
            if (Py_UNICODE_ISDECIMAL(code)) kinds |= DIGIT;
            if (Py_UNICODE_ISUPPER(code)) kinds |= UPPER;
            if (Py_UNICODE_ISLOWER(code)) kinds |= LOWER;
            if (low != code || code == I_WITH_DOT) kinds |= CHANGES;
            unicode_kinds[code] = kinds;
            if (kinds & CHANGES && code >= 0x80) {
                bytes.clear();
                append_char(bytes, code);
                may_change[begins_with(static_cast<unsigned char>(bytes[0]), static_cast<unsigned char>(bytes[1]))] = true;
            }
            if (low != code) unicode_to_lower[code] = static_cast<std::int32_t>(low) - static_cast<std::int32_t>(code);
        }
}

void append_char(std::string& to, std::uint32_t code) {
    if (code < 0x80) {
        to += static_cast<char>(code);
    } else if (code < 0x800) {
        to += static_cast<char>(0xC0 | code >> 6);
        to += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        to += static_cast<char>(0xE0 | code >> 12);
        to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
        to += static_cast<char>(0x80 | (code & 0x3F));
    } else {
        to += static_cast<char>(0xF0 | code >> 18);
        to += static_cast<char>(0x80 | (code >> 12 & 0x3F));
        to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
        to += static_cast<char>(0x80 | (code & 0x3F));
    }
}

bool is_utf8(Text text) {
    const auto byte = [&](std::size_t at) -> unsigned { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0; };
    const auto follows = [&](std::size_t at) { return (byte(at) & 0xC0) == 0x80; };
    for (std::size_t at = 0; at < text.size();) {
        const unsigned first = byte(at), second = byte(at + 1);
        if (first < 0x80) {
            at += ascii_from(text, at);
        } else if (first < 0xE0) {
            if (first < 0xC2 || !follows(at + 1)) return false;
            at += 2;
        } else if (first < 0xF0) {
            if (!follows(at + 1) || !follows(at + 2)) return false;
            if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0)) return false;
            at += 3;
        } else {
            if (first > 0xF4 || !follows(at + 1) || !follows(at + 2) || !follows(at + 3)) return false;
            if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90)) return false;
            at += 4;
        }
    }
    return true;
}

Text rstrip(Text text) {
    while (!text.empty()) {
        const Char last = char_before(text, text.size());
        if (!is(last.code, SPACE)) break;
        text.remove_suffix(last.size);
    }
    return text;
}

Text strip(Text text) {
    while (!text.empty()) {
        const Char first = char_at(text, 0);
        if (!is(first.code, SPACE)) break;
        text.remove_prefix(first.size);
    }
    return rstrip(text);
}

bool has_words(Text text, std::size_t least) {
    std::size_t words = 0;
    bool inside = false;
    for (std::size_t at = 0; at < text.size() && words < least;) {
        const Char found = char_at(text, at);
        at += found.size;
        const bool space = is(found.code, SPACE);
        words += !space && !inside;
        inside = !space;
    }
    return words >= least;
}

namespace {

bool is_ascii_space(char byte) { return static_cast<unsigned char>(byte) < 0x80 && is(static_cast<unsigned char>(byte), SPACE); }

} // namespace

// As most lines have spaces, few of their bytes need be looked at: each time the last space is taken that is not farther
// than a word may be long.
bool has_longer_word(Text text, std::size_t most) {
    std::size_t from = 0;
    while (text.size() - from > most) {
        std::size_t space = from + most;
        while (space > from && !is_ascii_space(text[space])) space--;
        if (space == from) break;
        from = space;
    }
    if (text.size() - from <= most) return false;
    std::size_t size = 0;
    for (std::size_t at = from; at < text.size();) {
        const Char found = char_at(text, at);
        at += found.size;
        size = is(found.code, SPACE) ? 0 : size + 1;
        if (size > most) return true;
    }
    return false;
}

std::size_t next_change(Text text, std::size_t at) {
    while (at < text.size()) {
        const auto first = static_cast<unsigned char>(text[at]);
        if (first < 0x80) {
            at += ascii_from(text, at);
            continue;
        }
        const auto second = static_cast<unsigned char>(at + 1 < text.size() ? text[at + 1] : 0);
        if (may_change[begins_with(first, second)] && is(char_at(text, at).code, CHANGES)) return at;
        at += first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    }
    return text.size();
}

std::string lower(Text text) {
    std::string low;
    low.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t stop = next_change(text, at);
        low += text.substr(at, stop - at);
        if (stop == text.size()) break;
        const Char found = char_at(text, stop);
        if (found.code == CAPITAL_SIGMA)
            append_char(low, is_final_sigma(text, stop) ? FINAL_SIGMA : CAPITAL_SIGMA + 0x20);
        else if (found.code == I_WITH_DOT)
            low += "i\xCC\x87";
        else
            append_char(low, found.code + static_cast<std::uint32_t>(unicode_to_lower[found.code]));
        at = stop + found.size;
    }
    for (char& byte : low) byte = static_cast<char>(byte | case_bit(static_cast<unsigned char>(byte)));
    return low;
}

std::vector<Text> splitlines(Text text) {
    std::vector<Text> lines;
    std::size_t start = 0;
    for (std::size_t at = 0; at < text.size();) {
        const Char found = char_at(text, at);
        if (!is(found.code, LINE_END)) {
            at += found.size;
            continue;
        }
        lines.push_back(text.substr(start, at - start));
        at += found.size;
        if (found.code == '\r' && at < text.size() && text[at] == '\n') at++;
        start = at;
    }
    if (start < text.size()) lines.push_back(text.substr(start));
    return lines;
}

} // namespace c4
