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

void check(const std::optional<Record>& record, std::size_t size) {
    if (!record) return;
    if (record->end > size) std::abort();
    for (const Text text : {record->url, record->timestamp, record->content_type, record->content_length, record->body})
        if (!is_utf8(text)) std::abort();
    if (record->remade && !is_utf8(*record->remade)) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    if (!size) return 0;
    const Text data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    check(ordinary_warc(data, bytes[0] % size, 1 << 16, 500), data.size());
    check(ordinary_warc(data, 0, 1 << 16, 500), data.size());
    check(ordinary_tfds(data, 500), data.size());
    return 0;
}
