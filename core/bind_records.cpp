#include "bindings.hpp"
#include "records.hpp"

namespace c4 {

namespace {

// (url, body, timestamp, content_type, content_length, record_id, refers_to, end), or None.
nb::object to_tuple(const std::optional<Record>& record) {
    if (!record) return nb::none();
    const nb::bytes body = to_bytes(record->remade ? Text(*record->remade) : record->body);
    return nb::make_tuple(to_str(record->url), body, to_str(record->timestamp), to_str(record->content_type),
                          to_str(record->content_length), to_str(record->record_id), to_str(record->refers_to),
                          record->end);
}

} // namespace

// These keep the interpreter's lock: a record takes a microsecond or two.
void bind_records(nb::module_& module) {
    nb::module_ records = module.def_submodule("records", "Records of WET files that are nothing out of the ordinary");
    records.def("warc", [](nb::bytes data, std::size_t at, std::size_t most, std::size_t max_chars) {
        return to_tuple(ordinary_warc(text_of(data), at, most, max_chars));
    });
    records.def("tfds", [](nb::bytes data, std::size_t max_chars) {
        return to_tuple(ordinary_tfds(text_of(data), max_chars));
    });
}

} // namespace c4
