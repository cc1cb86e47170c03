#include "example.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#include "hashes.hpp"

namespace c4 {

namespace {

constexpr std::size_t HEAD = 12, FOOT = 4; // of a frame: the length and its sum, the sum of the Example

std::size_t varint_size(std::size_t value) { return (std::bit_width(value | 1) + 6) / 7; }

// A field of length `size`, with its tag and its length.
std::size_t field(std::size_t size) { return 1 + varint_size(size) + size; }
std::size_t list(Text value) { return field(value.size()); } // BytesList
std::size_t entry(Text name, Text value) { return field(name.size()) + field(field(list(value))); } // of the map of features

std::size_t features_size(std::span<const Text> names, std::span<const Text> values) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < names.size(); i++) size += field(entry(names[i], values[i]));
    return size;
}

std::uint32_t masked_crc(Text data) { return std::rotr(crc32c(data), 15) + 0xA282EAD8u; }

struct Writer {
    char* to;

    void little(std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; i++) *to++ = static_cast<char>(value >> 8 * i);
    }
    void text(Text text) {
        if (!text.empty()) std::memcpy(to, text.data(), text.size());
        to += text.size();
    }
    // A field's tag and length.
    void begin(char tag, std::size_t length) {
        *to++ = tag;
        for (; length > 127; length >>= 7) *to++ = static_cast<char>((length & 127) | 128);
        *to++ = static_cast<char>(length);
    }
};

} // namespace

std::size_t framed_example_size(std::span<const Text> names, std::span<const Text> values) {
    return HEAD + field(features_size(names, values)) + FOOT;
}

char* write_framed_example(char* to, std::span<const Text> names, std::span<const Text> values) {
    const std::size_t features = features_size(names, values), size = field(features);
    Writer writer{to};
    writer.little(size, 8);
    writer.little(masked_crc({to, 8}), 4);
    writer.begin('\n', features); // Example.features
    for (std::size_t i = 0; i < names.size(); i++) {
        const Text name = names[i], value = values[i];
        writer.begin('\n', entry(name, value)); // Features.feature
        writer.begin('\n', name.size());
        writer.text(name);
        writer.begin('\x12', field(list(value)));
        writer.begin('\n', list(value)); // Feature.bytes_list
        writer.begin('\n', value.size());
        writer.text(value);
    }
    writer.little(masked_crc({to + HEAD, size}), 4);
    return writer.to;
}

std::string framed_example(std::span<const Text> names, std::span<const Text> values) {
    std::string made(framed_example_size(names, values), '\0');
    write_framed_example(made.data(), names, values);
    return made;
}

} // namespace c4
