#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "sentences.hpp"

namespace c4 {

void bind_sentences(nb::module_& module) {
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    using Strings = std::vector<std::string>;
    nb::class_<Punkt>(module, "Punkt", "Punkt with a language's parameters, as NLTK has them. Texts are bytes of UTF-8.")
        .def(nb::init<const Strings&, const Pairs&, const Strings&, const std::unordered_map<std::string, int>&>())
        .def("spans", [](const Punkt& self, nb::bytes text) { return unlocked([&] { return self.spans(text_of(text)); }); })
        .def("has_sentences", [](const Punkt& self, nb::bytes text, std::size_t least) {
            return unlocked([&] { return self.has_sentences(text_of(text), least); });
        })
        .def("sentences_in_lines", [](const Punkt& self, nb::bytes text, std::size_t least) {
            return unlocked([&] { return self.sentences_in_lines(text_of(text), least); });
        })
        .def("count_sentences", [](const Punkt& self, nb::bytes text, bool by_line) {
            return unlocked([&] { return self.count_sentences(text_of(text), by_line); });
        });
}

} // namespace c4
