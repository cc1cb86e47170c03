// What more than one file of bindings knows.
#pragma once

#include "bindings.hpp"
#include "lines.hpp"
#include "pages.hpp"
#include "records.hpp"
#include "samples.hpp"

namespace c4 {

// A str's UTF-8, which the str keeps. Raises UnicodeEncodeError where it holds half a surrogate pair.
Text utf8_of(nb::handle text);

nb::dict to_dict(const LineCounts& counts); // those that are not 0

// Tuples, as `Candidate` in c4build/flow/candidates.py has them.
nb::list to_list(const std::vector<const Candidate*>& candidates);

// `Lowest` of such tuples.
class LowestOfPython {
public:
    LowestOfPython(std::size_t most, std::size_t most_held, nb::bytes outside);

    void add(nb::tuple candidate) { lowest.add(from_python(candidate)); }
    bool wants(std::uint64_t chance, nb::bytes groups) const { return lowest.wants(chance, text_of(groups)); }
    nb::object limit(nb::bytes groups) const;
    nb::list groups_of(std::size_t at) const;

    Lowest lowest;

private:
    static Candidate from_python(const nb::tuple& candidate);
};

// A page's record that is nothing out of the ordinary, with the bytes that it lies in; what `Page` in c4build/page.py is.
class RecordOfPython {
public:
    // `data`: what it was read from. Other records than the only one there take a copy of their own bytes.
    RecordOfPython(nb::bytes data, std::size_t at, Record record, std::int64_t offset);

    Text body() const { return record_.remade ? Text(*record_.remade) : record_.body; }
    PageFields fields() const {
        const Record& r = record_;
        return {r.url, body(), r.timestamp, r.content_type, r.content_length, r.record_id, r.refers_to, offset_};
    }
    std::size_t end() const { return record_.end; }

private:
    nb::bytes data_;
    Record record_;
    std::int64_t offset_;
};

} // namespace c4
