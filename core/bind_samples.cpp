#include "bindings.hpp"
#include "samples.hpp"

namespace c4 {

namespace {

// Of candidates of Python, see `Candidate` in c4build/flow/candidates.py.
class LowestOfPython {
public:
    LowestOfPython(std::size_t most, std::uint8_t as_read, nb::bytes outside) : lowest_(most, text_of(outside)), as_read_(as_read) {
        if (!most) throw nb::value_error("at least one of each group is needed");
    }

    bool wants(std::uint64_t chance, nb::bytes groups) const { return lowest_.wants(chance, text_of(groups)); }

    nb::object limit(nb::bytes groups) const {
        const auto limit = lowest_.limit(text_of(groups));
        return limit ? nb::cast(*limit) : nb::none();
    }

    void add(nb::tuple candidate) {
        const auto number = [&](std::size_t field) { return nb::cast<std::int64_t>(candidate[field]); };
        const Rank rank{nb::cast<std::uint64_t>(candidate[0]), number(1), number(2)};
        const nb::bytes groups = nb::cast<nb::bytes>(candidate[4]);
        lowest_.add(rank, text_of(groups), number(5) == as_read_, candidate);
    }

    nb::list held() const {
        nb::list made;
        lowest_.each([&](const nb::object& candidate) { made.append(candidate); });
        made.sort();
        return made;
    }

    nb::list of(std::size_t at, std::uint8_t group) const {
        nb::list made;
        for (const nb::object* candidate : lowest_.of(at, group)) made.append(*candidate);
        return made;
    }

    nb::list groups_of(std::size_t at) const {
        nb::list made;
        for (const std::uint8_t group : lowest_.groups_of(at)) made.append(group);
        return made;
    }

private:
    Lowest<nb::object> lowest_;
    std::uint8_t as_read_;
};

} // namespace

void bind_samples(nb::module_& module) {
    nb::class_<LowestOfPython>(module, "Lowest", "Of each group the candidates with the lowest chances, see `c4build.flow.candidates`")
        .def(nb::init<std::size_t, std::uint8_t, nb::bytes>())
        .def("wants", &LowestOfPython::wants)
        .def("limit", &LowestOfPython::limit)
        .def("add", &LowestOfPython::add)
        .def("held", &LowestOfPython::held)
        .def("of", &LowestOfPython::of)
        .def("groups_of", &LowestOfPython::groups_of);
}

} // namespace c4
