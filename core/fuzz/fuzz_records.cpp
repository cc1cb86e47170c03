// A target for libFuzzer: any bytes as a piece of a WET file, cut as WARC and as TFDS cut it.
#include <Python.h>

#include <cstdlib>

#include "../records.hpp"

using namespace c4;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    Py_Initialize();
    make_unicode_tables();
    return 0;
}

namespace {

void check(std::optional<Record> record, Text data) {
    if (!record) return;
    const std::size_t size = data.size();
    if (record->end > size) std::abort();
    for (const Text text : {record->url, record->timestamp, record->content_type, record->content_length, record->body})
        if (!is_utf8(text)) std::abort();
    if (record->remade && !is_utf8(*record->remade)) std::abort();
    const std::string url(record->url), body(record->body), copy(data);
    record->move(data.data(), copy.data());
    if (record->url != url || record->body != body) std::abort();
    if (!body.empty() && (body.size() > size || record->body.data() < copy.data() || record->body.data() > copy.data() + size)) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    if (!size) return 0;
    const Text data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    check(ordinary_warc(data, bytes[0] % size, 1 << 16, 500), data);
    check(ordinary_warc(data, 0, 1 << 16, 500), data);
    check(ordinary_tfds(data, 500), data);
    const std::size_t member = next_member(data, bytes[0] % size, 1 << 10);
    if (member && data.substr(member, 3) != Text("\x1f\x8b\x08")) std::abort();
    return 0;
}
