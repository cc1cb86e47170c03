#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "bound.hpp"

namespace c4 {

namespace {

nb::list candidates_to_list(const std::vector<const Candidate*>& candidates) {
    nb::list made;
    for (const Candidate* one : candidates) {
        const auto& [rank, row, groups, stage, url, timestamp, body] = *one;
        made.append(nb::make_tuple(
            rank.chance, rank.file, rank.number, row, to_bytes(groups), nb::int_(+stage), to_str(url), to_str(timestamp), to_bytes(body)));
    }
    return made;
}

using Candidates = std::span<const Candidate* const>;

template <class Number, class Get>
nb::object number_column(Candidates candidates, Get get) {
    std::vector<Number> numbers;
    for (const Candidate* one : candidates) numbers.push_back(get(*one));
    return column_of(Validity(), to_bytes(numbers));
}

nb::object text_column(Candidates candidates, Text Candidate::* text) {
    std::vector<std::int32_t> offsets{0};
    std::size_t size = 0;
    for (const Candidate* one : candidates) {
        size += (one->*text).size();
        if (size > std::numeric_limits<std::int32_t>::max()) throw std::length_error("over 2 GiB of text in a row group");
        offsets.push_back(static_cast<std::int32_t>(size));
    }
    const nb::object data = new_bytes(size);
    char* to = PyBytes_AS_STRING(data.ptr());
    for (const Candidate* one : candidates) to = std::copy((one->*text).begin(), (one->*text).end(), to);
    return column_of(Validity(), to_bytes(offsets), data);
}

// A row group of a table of candidates: (rows, [columns as Arrow has them]).
nb::tuple row_group(Candidates of) {
    nb::list columns;
    columns.append(number_column<std::uint64_t>(of, [](const Candidate& one) { return one.rank.chance; }));
    columns.append(number_column<std::int64_t>(of, [](const Candidate& one) { return one.rank.file; }));
    columns.append(number_column<std::int64_t>(of, [](const Candidate& one) { return one.rank.number; }));
    columns.append(number_column<std::int64_t>(of, [](const Candidate& one) { return one.row; }));
    columns.append(text_column(of, &Candidate::groups));
    columns.append(number_column<std::uint8_t>(of, [](const Candidate& one) { return one.stage; }));
    for (const auto text : {&Candidate::url, &Candidate::timestamp, &Candidate::body}) columns.append(text_column(of, text));
    return nb::make_tuple(of.size(), columns);
}

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
    const std::vector<const Candidate*> held = lowest.held();
    std::size_t first = 0, size = 0;
    for (std::size_t at = 0; at < held.size(); at++) {
        size += held[at]->url.size() + held[at]->body.size();
        if (size < bytes && at + 1 < held.size()) continue;
        made.append(row_group(Candidates(held).subspan(first, at + 1 - first)));
        first = at + 1, size = 0;
    }
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
        .def("held", [](const LowestOfPython& self) { return candidates_to_list(self.lowest.held()); })
        .def("row_groups", &LowestOfPython::row_groups)
        .def("of", [](const LowestOfPython& self, std::size_t at, std::uint8_t group) { return candidates_to_list(self.lowest.of(at, group)); })
        .def("groups_of", &LowestOfPython::groups_of)
        .def("limits", &LowestOfPython::limits);
}

} // namespace c4
