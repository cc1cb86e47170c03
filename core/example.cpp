#include "example.hpp"

#include <bit>
#include <cstdint>

#include "hashes.hpp"

namespace c4 {

namespace {

std::size_t varint_size(std::size_t value) { return (std::bit_width(value | 1) + 6) / 7; }

void append_varint(std::string& to, std::size_t value) {
    for (; value > 127; value >>= 7) to += static_cast<char>((value & 127) | 128);
    to += static_cast<char>(value);
}

void append_little(std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to += static_cast<char>(value >> 8 * i);
}

std::uint32_t masked_crc(Text data) { return std::rotr(crc32c(data), 15) + 0xA282EAD8u; }

// A field of length `size`, with its tag and its length.
std::size_t field(std::size_t size) { return 1 + varint_size(size) + size; }

} // namespace

void append_framed_example(std::string& to, const std::vector<Text>& names, const std::vector<Text>& values) {
    std::size_t features = 0;
    const auto list = [](Text value) { return field(value.size()); };          // BytesList
    const auto entry = [&](Text name, Text value) { return field(name.size()) + field(field(list(value))); };
    for (std::size_t i = 0; i < names.size(); i++) features += field(entry(names[i], values[i]));
    const std::size_t size = field(features);
    const std::size_t start = to.size();
    to.reserve(start + size + 16);
    append_little(to, size, 8);
    append_little(to, masked_crc(Text(to).substr(start)), 4);
    const auto begin = [&](char tag, std::size_t length) {
        to += tag;
        append_varint(to, length);
    };
    begin('\n', features); // Example.features
    for (std::size_t i = 0; i < names.size(); i++) {
        const Text name = names[i], value = values[i];
        begin('\n', entry(name, value)); // Features.feature
        begin('\n', name.size());
        to += name;
        begin('\x12', field(list(value)));
        begin('\n', list(value)); // Feature.bytes_list
        begin('\n', value.size());
        to += value;
    }
    append_little(to, masked_crc(Text(to).substr(start + 12)), 4);
}

} // namespace c4
