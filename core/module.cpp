// What Python sees of the compiled rules.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "counts.hpp"
#include "hashes.hpp"
#include "lines.hpp"
#include "unicode.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace c4 {

namespace {

// The parts by themselves, for tests: texts are bytes of UTF-8.
void bind_parts(nb::module_& parts) {
    parts.def("is_utf8", [](nb::bytes data) { return is_utf8(text_of(data)); });
    parts.def("kinds", [](std::uint32_t code) { return code < CODE_POINTS ? kinds_of(code) : 0; });
    parts.def("lower", [](nb::bytes text) { return to_bytes(unlocked([&] { return lower(text_of(text)); })); });
    parts.def("strip", [](nb::bytes text) { return to_bytes(strip(text_of(text))); });
    parts.def("rstrip", [](nb::bytes text) { return to_bytes(rstrip(text_of(text))); });
    parts.def("has_words", [](nb::bytes text, std::size_t least) { return has_words(text_of(text), least); });
    parts.def("has_longer_word", [](nb::bytes text, std::size_t most) { return has_longer_word(text_of(text), most); });
    parts.def("splitlines", [](nb::bytes text) { return to_list(splitlines(text_of(text))); });
    parts.def("murmur3", [](nb::bytes data) {
        std::string out;
        append_hash(out, murmur3(text_of(data)));
        return to_bytes(out);
    });
    parts.def("md5", [](nb::bytes data) {
        const auto digest = md5(text_of(data));
        return nb::bytes(digest.data(), digest.size());
    });
    parts.def("rank", [](nb::bytes url) { return rank(text_of(url)); });
    parts.def("in_validation", [](nb::bytes url) { return in_validation(text_of(url)); });
    parts.def("crc32c", [](nb::bytes data) { return crc32c(text_of(data)); });
}

void bind_counts(nb::module_& module) {
    module.def("count_text", [](nb::bytes text) { return to_tuple(count(text_of(text))); });
    module.def("page_text", [](nb::bytes body) {
        std::string made;
        return to_bytes(page_text(text_of(body), made));
    });
}

} // namespace

} // namespace c4

NB_MODULE(_core, module) {
    nb::set_leak_warnings(false); // of objects that a process keeps up to its end
    c4::make_unicode_tables();
    nb::module_ parts = module.def_submodule("parts", "The parts of the compiled rules, one by one, for tests");
    c4::bind_parts(parts);
    c4::bind_counts(module);
    c4::bind_language(module);
    c4::bind_lines(module);
    c4::bind_pages(module);
    c4::bind_phrases(module, parts);
    c4::bind_sentences(module);
    c4::bind_records(module);
    c4::bind_samples(module);
    c4::bind_steps(module);
    c4::bind_finish(module);
}
