// Helpers for what is bound to Python, and the functions that bind.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <vector>

#include "counts.hpp"
#include "unicode.hpp"

namespace c4 {

namespace nb = nanobind;

inline Text text_of(const nb::bytes& data) { return {data.c_str(), data.size()}; }
inline nb::bytes to_bytes(Text text) { return nb::bytes(text.data(), text.size()); }
template <class Number>
nb::bytes to_bytes(const std::vector<Number>& numbers) { // as they lie in memory
    return nb::bytes(numbers.data(), numbers.size() * sizeof(Number));
}
// Bytes that are still to be filled in.
inline nb::object new_bytes(std::size_t size) {
    PyObject* made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
    if (!made) throw nb::python_error();
    return nb::steal(made);
}
inline nb::object to_str(Text text) {
    PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    if (!made) throw nb::python_error();
    return nb::steal(made);
}
inline nb::list to_list(const std::vector<Text>& texts) {
    nb::list list;
    for (const Text text : texts) list.append(to_bytes(text));
    return list;
}

// (characters, words, lines, bytes)
inline nb::tuple to_tuple(const Counted& counted) {
    return nb::make_tuple(counted.characters, counted.words, counted.lines, counted.bytes);
}

// What `work` makes, no object of Python's, without the interpreter's lock while it works.
template <class Work>
auto unlocked(Work work) {
    nb::gil_scoped_release release;
    return work();
}

void bind_finish(nb::module_& module);
void bind_language(nb::module_& module);
void bind_lines(nb::module_& module);
void bind_pages(nb::module_& module);
void bind_phrases(nb::module_& module, nb::module_& parts);
void bind_sentences(nb::module_& module);
void bind_records(nb::module_& module);
void bind_samples(nb::module_& module);
void bind_steps(nb::module_& module);

} // namespace c4
