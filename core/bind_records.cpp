#include "bound.hpp"
#include "records.hpp"

#include <utility>

namespace c4 {

RecordOfPython::RecordOfPython(nb::bytes data, std::size_t at, Record record, std::int64_t offset)
    : data_(std::move(data)), record_(std::move(record)), offset_(offset) {
    if (at == 0 && record_.end == data_.size()) return;
    const char* const from = data_.c_str() + at;
    const nb::bytes own(from, record_.end - at);
    record_.move(from, own.c_str());
    data_ = own;
}

namespace {

nb::object given(const nb::bytes& data, std::size_t at, std::optional<Record> record, std::int64_t offset) {
    if (!record) return nb::none();
    return nb::cast(RecordOfPython(data, at, std::move(*record), offset));
}

template <Text PageFields::* FIELD>
nb::object field(const RecordOfPython& record) {
    return to_str(record.fields().*FIELD);
}

} // namespace

// These keep the interpreter's lock: a record takes a microsecond or two.
void bind_records(nb::module_& module) {
    nb::class_<RecordOfPython>(module, "Record", "A page's record, with what `Page` has")
        .def_prop_ro("url", field<&PageFields::url>)
        .def_prop_ro("body", [](const RecordOfPython& record) { return to_bytes(record.body()); })
        .def_prop_ro("timestamp", field<&PageFields::timestamp>)
        .def_prop_ro("content_type", field<&PageFields::content_type>)
        .def_prop_ro("content_length", field<&PageFields::content_length>)
        .def_prop_ro("offset", [](const RecordOfPython& record) { return record.fields().offset; })
        .def_prop_ro("record_id", field<&PageFields::record_id>)
        .def_prop_ro("refers_to", field<&PageFields::refers_to>)
        .def_prop_ro("text", [](const RecordOfPython& record) {
            std::string made;
            return to_str(page_text(record.body(), made));
        })
        .def_prop_ro("end", &RecordOfPython::end, "Where in the data the next record starts, or its end");
    module.def("next_member", [](nb::bytes data, std::size_t at, std::size_t most) { return next_member(text_of(data), at, most); });
    nb::module_ records = module.def_submodule("records", "Records of WET files that are nothing out of the ordinary");
    records.def("warc", [](nb::bytes data, std::int64_t offset, std::size_t at, std::size_t most, std::size_t max_chars) {
        return given(data, at, ordinary_warc(text_of(data), at, most, max_chars), offset);
    });
    records.def("tfds", [](nb::bytes data, std::int64_t offset, std::size_t max_chars) {
        return given(data, 0, ordinary_tfds(text_of(data), max_chars), offset);
    });
}

} // namespace c4
