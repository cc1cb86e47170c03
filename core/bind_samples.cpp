#include <nanobind/stl/vector.h>

#include "bound.hpp"

namespace c4 {

namespace {

nb::list to_list(const std::vector<const Candidate*>& candidates) {
    nb::list made;
    for (const Candidate* one : candidates) {
        const auto& [rank, row, groups, stage, url, timestamp, body] = *one;
        made.append(nb::make_tuple(
            rank.chance, rank.file, rank.number, row, to_bytes(groups), nb::int_(+stage), to_str(url), to_str(timestamp), to_bytes(body)));
    }
    return made;
}

// A row group of a table of candidates.
struct CandidateColumns {
    void add(const Candidate& one) {
        chances.push_back(one.rank.chance);
        files.push_back(one.rank.file);
        numbers.push_back(one.rank.number);
        rows.push_back(one.row);
        groups.add(one.groups);
        stages.push_back(one.stage);
        urls.add(one.url);
        timestamps.add(one.timestamp);
        bodies.add(one.body);
    }

    nb::tuple to_tuple() const {
        const Validity all;
        nb::list made;
        made.append(column_of(all, to_bytes(chances)));
        for (const auto* numbers : {&files, &this->numbers, &rows}) made.append(column_of(all, to_bytes(*numbers)));
        made.append(column_of(groups));
        made.append(column_of(all, to_bytes(stages)));
        for (const auto* texts : {&urls, &timestamps, &bodies}) made.append(column_of(*texts));
        return nb::make_tuple(chances.size(), made);
    }

    std::vector<std::uint64_t> chances;
    std::vector<std::int64_t> files, numbers, rows;
    std::vector<std::uint8_t> stages;
    TextColumn groups, urls, timestamps, bodies;
};

} // namespace

LowestOfPython::LowestOfPython(std::size_t most, std::size_t most_held, nb::bytes outside) : lowest(most, most_held, text_of(outside)) {
    if (!most) throw nb::value_error("at least one of each group is needed");
}

void LowestOfPython::add(nb::tuple of) {
    const auto number = [&](std::size_t field) { return nb::cast<std::int64_t>(of[field]); };
    const auto bytes = [&](std::size_t field) { return text_of(nb::cast<nb::bytes>(of[field])); };
    const Rank rank{nb::cast<std::uint64_t>(of[0]), number(1), number(2)};
    lowest.add(rank, number(3), bytes(4), static_cast<Stage>(number(5)), utf8_of(of[6]), utf8_of(of[7]), bytes(8));
}

void LowestOfPython::add_rows(nb::list columns) {
    const Numbers chances(columns[0]), files(columns[1]), numbers(columns[2]), rows(columns[3]), stages(columns[5]);
    const auto texts = [&](std::size_t field) { return JoinedTexts(nb::cast<nb::tuple>(columns[field])); };
    const JoinedTexts groups = texts(4), urls = texts(6), timestamps = texts(7), bodies = texts(8);
    const std::size_t count = chances.of<std::uint64_t>().size();
    for (const std::size_t size : {files.of<std::int64_t>().size(), numbers.of<std::int64_t>().size(), rows.of<std::int64_t>().size(),
             stages.of<std::uint8_t>().size(), groups.texts.size(), urls.texts.size(), timestamps.texts.size(), bodies.texts.size()})
        if (size != count) throw nb::value_error("columns of different lengths");
    for (std::size_t i = 0; i < count; i++) {
        const Rank rank{chances.of<std::uint64_t>()[i], files.of<std::int64_t>()[i], numbers.of<std::int64_t>()[i]};
        lowest.take(rank, rows.of<std::int64_t>()[i], groups.texts[i], static_cast<Stage>(stages.of<std::uint8_t>()[i]), urls.texts[i],
            timestamps.texts[i], bodies.texts[i]);
    }
}

nb::object LowestOfPython::limit(nb::bytes groups, std::uint8_t stage) const {
    const auto limit = lowest.limit(text_of(groups), static_cast<Stage>(stage));
    return limit ? nb::cast(*limit) : nb::none();
}

nb::list LowestOfPython::limits() const {
    nb::list made;
    for (const auto& [place, rank] : lowest.limits()) made.append(nb::make_tuple(place.first, place.second, rank.chance, rank.file, rank.number));
    return made;
}

nb::list LowestOfPython::groups_of(std::size_t at) const {
    nb::list made;
    for (const std::uint8_t group : lowest.groups_of(at)) made.append(group);
    return made;
}

nb::list LowestOfPython::row_groups(std::size_t bytes) const {
    nb::list made;
    CandidateColumns columns;
    for (const Candidate* one : lowest.held()) {
        columns.add(*one);
        if (columns.bodies.data().size() < bytes) continue;
        made.append(columns.to_tuple());
        columns = {};
    }
    if (!columns.chances.empty()) made.append(columns.to_tuple());
    return made;
}

void bind_samples(nb::module_& module) {
    nb::class_<LowestOfPython>(module, "Lowest", "Of each group the candidates with the lowest chances, see `c4build.flow.candidates`")
        .def(nb::init<std::size_t, std::size_t, nb::bytes>())
        .def("wants", &LowestOfPython::wants)
        .def("limit", &LowestOfPython::limit)
        .def("add", &LowestOfPython::add)
        .def("add_rows", &LowestOfPython::add_rows)
        .def("begin", [](LowestOfPython& self) { self.lowest.begin(); })
        .def("held", [](const LowestOfPython& self) { return to_list(self.lowest.held()); })
        .def("row_groups", &LowestOfPython::row_groups)
        .def("of", [](const LowestOfPython& self, std::size_t at, std::uint8_t group) { return to_list(self.lowest.of(at, group)); })
        .def("groups_of", &LowestOfPython::groups_of)
        .def("limits", &LowestOfPython::limits);
}

} // namespace c4
