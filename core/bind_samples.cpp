#include <nanobind/stl/vector.h>

#include <algorithm>

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
    const auto bytes = [&](std::size_t field) { return std::string(text_of(nb::cast<nb::bytes>(of[field]))); };
    const auto text = [&](std::size_t field) { return std::string(utf8_of(of[field])); };
    const Rank rank{nb::cast<std::uint64_t>(of[0]), number(1), number(2)};
    lowest.add({rank, number(3), bytes(4), static_cast<Stage>(number(5)), text(6), text(7), bytes(8)});
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
        const auto text = [&](const JoinedTexts& of) { return std::string(of.texts[i]); };
        lowest.add({rank, rows.of<std::int64_t>()[i], text(groups), static_cast<Stage>(stages.of<std::uint8_t>()[i]), text(urls), text(timestamps), text(bodies)});
    }
}

void LowestOfPython::take_rows(
    std::int64_t file, std::uint8_t stage, const std::vector<std::size_t>& rows, const nb::list& groups, nb::handle chances, nb::handle numbers,
    nb::handle from_raw, const nb::tuple& urls, const nb::tuple& timestamps, const nb::tuple& texts, const nb::tuple& raws) {
    const Numbers held[] = {Numbers(chances), Numbers(numbers), Numbers(from_raw)};
    const JoinedTexts joined[] = {JoinedTexts(urls), JoinedTexts(timestamps), JoinedTexts(texts), JoinedTexts(raws)};
    const auto all_chances = held[0].of<std::uint64_t>();
    const auto all_numbers = held[1].of<std::uint32_t>();
    const auto all_from_raw = held[2].of<std::uint8_t>();
    std::size_t least = std::min({all_chances.size(), all_numbers.size(), all_from_raw.size()});
    for (const JoinedTexts& one : joined) least = std::min(least, one.texts.size());
    if (nb::len(groups) != rows.size()) throw nb::value_error("as many groups as rows are needed");
    for (std::size_t i = 0; i < rows.size(); i++) {
        const std::size_t row = rows[i];
        if (row >= least) throw nb::index_error("there are not so many rows");
        const auto& [url, timestamp, text, raw] = joined;
        const Text body = (all_from_raw[row] ? raw : text).texts[row];
        lowest.take({all_chances[row], file, all_numbers[row]}, -1, text_of(nb::cast<nb::bytes>(groups[i])), static_cast<Stage>(stage),
            url.texts[row], timestamp.texts[row], body);
    }
}

nb::object LowestOfPython::limit(nb::bytes groups, std::uint8_t stage) const {
    const auto limit = lowest.limit(text_of(groups), static_cast<Stage>(stage));
    return limit ? nb::cast(*limit) : nb::none();
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
        .def("take_rows", &LowestOfPython::take_rows)
        .def("held", [](const LowestOfPython& self) { return to_list(self.lowest.held()); })
        .def("row_groups", &LowestOfPython::row_groups)
        .def("of", [](const LowestOfPython& self, std::size_t at, std::uint8_t group) { return to_list(self.lowest.of(at, group)); })
        .def("groups_of", &LowestOfPython::groups_of);
}

} // namespace c4
