#include "phrases.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bound.hpp"

namespace c4 {

void bind_phrases(nb::module_& module, nb::module_& parts) {
    nb::class_<Phrases>(parts, "Phrases")
        .def(nb::init<const std::vector<std::string>&>())
        .def("stands_in", [](const Phrases& self, nb::bytes low) { return unlocked([&] { return self.stands_in(text_of(low)); }); })
        .def("may_stand_in", [](const Phrases& self, nb::bytes text) {
            return unlocked([&] { return self.may_stand_in(text_of(text)); });
        });
    nb::class_<BadWords>(module, "BadWords")
        .def(nb::init<const std::vector<std::string>&>())
        .def("stands_in", [](const BadWords& self, nb::bytes text) {
            return unlocked([&] { return self.stands_in(text_of(text)); });
        })
        .def("places", [](const BadWords& self, nb::str text) { return self.places(utf8_of(text)); });
}

} // namespace c4
