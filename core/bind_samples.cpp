#include "bound.hpp"

namespace c4 {

nb::list to_list(const std::vector<const Candidate*>& candidates) {
    nb::list made;
    for (const Candidate* one : candidates) {
        const auto& [rank, row, groups, stage, url, timestamp, body] = *one;
        made.append(nb::make_tuple(rank.chance, rank.file, rank.number, row, to_bytes(groups), nb::int_(+stage), to_str(url), to_str(timestamp), to_bytes(body)));
    }
    return made;
}

LowestOfPython::LowestOfPython(std::size_t most, std::size_t most_held, nb::bytes outside) : lowest(most, most_held, text_of(outside)) {
    if (!most) throw nb::value_error("at least one of each group is needed");
}

Candidate LowestOfPython::from_python(const nb::tuple& of) {
    const auto number = [&](std::size_t field) { return nb::cast<std::int64_t>(of[field]); };
    const auto bytes = [&](std::size_t field) { return std::string(text_of(nb::cast<nb::bytes>(of[field]))); };
    const auto text = [&](std::size_t field) { return std::string(utf8_of(of[field])); };
    const Rank rank{nb::cast<std::uint64_t>(of[0]), number(1), number(2)};
    return {rank, number(3), bytes(4), static_cast<Stage>(number(5)), text(6), text(7), bytes(8)};
}

nb::object LowestOfPython::limit(nb::bytes groups) const {
    const auto limit = lowest.limit(text_of(groups));
    return limit ? nb::cast(*limit) : nb::none();
}

nb::list LowestOfPython::groups_of(std::size_t at) const {
    nb::list made;
    for (const std::uint8_t group : lowest.groups_of(at)) made.append(group);
    return made;
}

void bind_samples(nb::module_& module) {
    nb::class_<LowestOfPython>(module, "Lowest", "Of each group the candidates with the lowest chances, see `c4build.flow.candidates`")
        .def(nb::init<std::size_t, std::size_t, nb::bytes>())
        .def("wants", &LowestOfPython::wants)
        .def("limit", &LowestOfPython::limit)
        .def("add", &LowestOfPython::add)
        .def("held", [](const LowestOfPython& self) { return to_list(self.lowest.held()); })
        .def("of", [](const LowestOfPython& self, std::size_t at, std::uint8_t group) { return to_list(self.lowest.of(at, group)); })
        .def("groups_of", &LowestOfPython::groups_of);
}

} // namespace c4
