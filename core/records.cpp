#include "records.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace c4 {

namespace {

constexpr std::size_t LINE_BYTES = 1 << 16, SEEN_FOR_TYPE = 1024, MOST_LINE_ENDS = 8, MOST_DIGITS = 18;
constexpr Text FIRST_LINE = "WARC/1.0\r\n", DELIMITER = "WARC/1.0", CRLF = "\r\n";

bool is_visible(char byte) { return byte >= '!' && byte <= '~'; }

// Is there something that nothing takes for white space? `text` is UTF-8.
bool has_visible(Text text) {
    for (std::size_t at = 0; at < text.size();) {
        const Char found = char_at(text, at);
        if (found.code < 0x80 ? is_visible(text[at]) : !is(found.code, SPACE)) return true;
        at += found.size;
    }
    return false;
}

Text without_line_ends(Text body) {
    while (!body.empty() && (body.back() == '\n' || body.back() == '\r')) body.remove_suffix(1);
    return body;
}

// The next line of a header, taken off `left`; nothing where it does not end as WARC has it.
std::optional<Text> take_line(Text& left) {
    const std::size_t end = left.find('\n');
    if (end == Text::npos || end == 0 || left.find('\r') != end - 1) return {};
    const Text line = left.substr(0, end - 1);
    left.remove_prefix(end + 1);
    return line;
}

// A field's value, stripped, in `to`; false where it is no UTF-8.
bool take_value(Text value, Text& to) {
    if (!is_utf8(value)) return false;
    to = strip(value);
    return true;
}

std::optional<std::uint64_t> number_of(Text digits) {
    if (digits.empty() || digits.size() > MOST_DIGITS) return {};
    std::uint64_t number = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') return {};
        number = number * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return number;
}

// Is it a page by `judge`, without a look at its lines?
bool is_page(const Record& record, std::size_t max_chars) {
    return !record.url.empty() && !record.timestamp.empty() && record.body.size() <= max_chars && is_utf8(record.body) &&
           has_visible(record.body);
}

// Any of \n, \r\n, \r as \n.
std::string newlines(Text body) {
    std::string made;
    made.reserve(body.size());
    for (std::size_t at = 0; at < body.size(); at++) {
        if (body[at] != '\r') {
            made += body[at];
        } else if (body.substr(at, 2) != CRLF) {
            made += '\n';
        }
    }
    return made;
}

// The lines, ended by \n, each stripped; nothing where one starts as metadata does.
std::optional<std::string> stripped_lines(Text body) {
    std::string made;
    made.reserve(body.size());
    while (true) {
        const std::size_t end = body.find('\n');
        const Text line = strip(body.substr(0, end));
        if (line.starts_with("Content-") || line.starts_with("CONTENT-")) return {};
        made += line;
        if (end == Text::npos) return made;
        made += '\n';
        body.remove_prefix(end + 1);
    }
}

enum class Prefix { NONE, WITHIN, WARC };

// What `_HAS_PREFIX` finds in a body: nothing; WARC, which may be a delimiter or metadata; or only Content-, in two cases,
// which is metadata where a line starts with it.
Prefix find_prefix(Text body) {
    Prefix found = Prefix::NONE;
    for (std::size_t at = body.find('C'); at != Text::npos; at = body.find('C', at + 1)) {
        const Text behind = body.substr(at + 1, 7);
        if (at >= 3 && body[at - 1] == 'R' && body.substr(at - 3, 2) == "WA") return Prefix::WARC;
        if (behind == "ontent-" || behind == "ONTENT-") found = Prefix::WITHIN;
    }
    return found;
}

// Three bits of a gzip member's flags must not be set.
bool is_member(Text data) { return data.size() >= 4 && data.starts_with("\x1f\x8b\x08") && !(data[3] & 0xE0); }

bool same_name(Text name, Text lower) {
    if (name.size() != lower.size()) return false;
    for (std::size_t at = 0; at < name.size(); at++) {
        const char byte = name[at];
        if ((byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte) != lower[at]) return false;
    }
    return true;
}

} // namespace

void Record::move(const char* from, const char* to) {
    for (Text* text : {&url, &timestamp, &content_type, &content_length, &record_id, &refers_to, &body})
        if (text->data()) *text = {to + (text->data() - from), text->size()};
}

std::optional<Record> ordinary_warc(Text data, std::size_t at, std::size_t most, std::size_t max_chars) {
    if (at > data.size() || !data.substr(at).starts_with("WARC/")) return {};
    Record record;
    Text head = data.substr(at, LINE_BYTES), kind;
    if (!take_line(head)) return {};
    struct Field {
        Text name;
        Text& value;
        bool found = false;
    };
    std::array<Field, 7> fields{{
        {"warc-type", kind},
        {"warc-target-uri", record.url},
        {"warc-date", record.timestamp},
        {"content-type", record.content_type},
        {"content-length", record.content_length},
        {"warc-record-id", record.record_id},
        {"warc-refers-to", record.refers_to},
    }};
    while (true) {
        const auto line = take_line(head);
        if (!line) return {};
        if (line->empty()) break;
        const std::size_t colon = line->find(':');
        if (colon == Text::npos || !is_utf8(*line)) return {};
        const Text name = line->substr(0, colon);
        for (const char byte : name)
            if (!is_visible(byte)) return {};
        for (Field& field : fields) {
            if (field.found || !same_name(name, field.name)) continue;
            field.value = strip(line->substr(colon + 1)); // the first counts
            field.found = true;
        }
    }
    const std::size_t start = static_cast<std::size_t>(head.data() - data.data());
    const Text left = data.substr(start);
    const auto size = number_of(record.content_length);
    if (kind != "conversion" || !size || *size >= most || *size > left.size()) return {};
    const Text behind = left.substr(*size);
    if (!behind.starts_with("\r\n\r\n") || (behind.size() > 4 && !behind.substr(4).starts_with("WARC/"))) return {};
    record.end = start + *size + 4;
    record.body = without_line_ends(left.substr(0, *size));
    if (!is_page(record, max_chars)) return {};
    if (record.body.find('\r') != Text::npos) record.remade = newlines(record.body);
    return record;
}

std::optional<Record> ordinary_tfds(Text data, std::size_t max_chars) {
    if (!data.starts_with(FIRST_LINE)) return {};
    Record record;
    Text head = data.substr(FIRST_LINE.size(), LINE_BYTES);
    bool conversion = false, has_id = false, has_refers = false;
    int types = 0;
    while (true) {
        const auto line = take_line(head);
        if (!line) return {};
        if (line->empty()) break;
        const auto end = static_cast<std::size_t>(head.data() - data.data());
        if (*line == "WARC-Type: conversion" && end <= SEEN_FOR_TYPE) conversion = true;
        if (line->find(DELIMITER) != Text::npos) return {};
        const std::size_t colon = line->find(':');
        const Text name = line->substr(0, colon), value = colon == Text::npos ? Text() : line->substr(colon + 1);
        if (!name.starts_with("WARC-") && !name.starts_with("Content-")) return {};
        if (colon == Text::npos) continue;
        types += name == "WARC-Type";
        // Of a field that counts for the page the last one counts, of the others the first.
        Text* const to = name == "WARC-Target-URI" ? &record.url
                         : name == "WARC-Date"     ? &record.timestamp
                         : name == "Content-Type"  ? &record.content_type
                         : name == "Content-Length" ? &record.content_length
                         : name == "WARC-Record-ID" && !std::exchange(has_id, true) ? &record.record_id
                         : name == "WARC-Refers-To" && !std::exchange(has_refers, true) ? &record.refers_to
                                                                                        : nullptr;
        if (to && !take_value(value, *to)) return {};
    }
    const Text left = data.substr(static_cast<std::size_t>(head.data() - data.data()));
    const auto size = number_of(record.content_length);
    if (!conversion || !size || *size > left.size() || left.size() - *size > MOST_LINE_ENDS) return {};
    record.end = data.size();
    record.body = without_line_ends(left);
    if (!is_page(record, max_chars)) return {};
    if (const Prefix prefix = find_prefix(record.body); prefix != Prefix::NONE) {
        if (prefix == Prefix::WARC || types > 1) return {};
        record.remade = stripped_lines(newlines(record.body));
        if (!record.remade) return {};
    } else if (record.body.find('\r') != Text::npos) {
        record.remade = newlines(record.body);
    }
    return record;
}

std::size_t next_member(Text data, std::size_t at, std::size_t most) {
    if (at > data.size()) return 0;
    const Text ahead = data.substr(at, most);
    if (!is_member(ahead)) return 0;
    for (std::size_t next = ahead.find('\x1f', 3); next != Text::npos; next = ahead.find('\x1f', next + 1))
        if (is_member(ahead.substr(next))) return at + next;
    return 0;
}

} // namespace c4
