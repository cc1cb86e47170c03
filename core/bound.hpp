// What more than one file of bindings knows.
#pragma once

#include <span>

#include "bindings.hpp"
#include "lines.hpp"
#include "pages.hpp"
#include "records.hpp"
#include "samples.hpp"

namespace c4 {

// A str's UTF-8, which the str keeps. Raises UnicodeEncodeError where it holds half a surrogate pair.
Text utf8_of(nb::handle text);

nb::dict to_dict(const LineCounts& counts); // those that are not 0

LineRules line_rules(const nb::dict& rules); // of `RuleSet.to_json()`

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

// A column as (how many are null, its buffers as Arrow has them).
template <class... Buffers>
nb::object column_of(const Validity& validity, const Buffers&... buffers) {
    const nb::object there = validity.nulls() ? nb::object(to_bytes(validity.bits())) : nb::none();
    return nb::make_tuple(validity.nulls(), nb::make_tuple(there, buffers...));
}

inline nb::object column_of(const TextColumn& column) {
    return column_of(column.validity(), to_bytes(column.offsets()), to_bytes(column.data()));
}

// The memory of bytes or an array of NumPy's, held as long as this is there.
class Numbers {
public:
    explicit Numbers(nb::handle holder) {
        if (PyObject_GetBuffer(holder.ptr(), &view_, PyBUF_SIMPLE)) throw nb::python_error();
    }
    ~Numbers() { PyBuffer_Release(&view_); }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;

    template <class Number>
    std::span<const Number> of() const {
        const auto size = static_cast<std::size_t>(view_.len);
        if (size % sizeof(Number) || reinterpret_cast<std::uintptr_t>(view_.buf) % alignof(Number))
            throw nb::value_error("these are no such numbers");
        return {static_cast<const Number*>(view_.buf), size / sizeof(Number)};
    }

private:
    Py_buffer view_{};
};

// A column of texts: (all their bytes one behind the other, [n] int32: the size of each).
class JoinedTexts {
public:
    explicit JoinedTexts(const nb::tuple& joined) : bytes_(joined[0]) {
        const Numbers holder(joined[1]);
        Text rest(bytes_.of<char>().data(), bytes_.of<char>().size());
        texts.reserve(holder.of<std::int32_t>().size());
        for (const std::int32_t size : holder.of<std::int32_t>()) {
            if (size < 0 || static_cast<std::size_t>(size) > rest.size()) throw nb::value_error("sizes do not fit the bytes");
            texts.push_back(rest.substr(0, static_cast<std::size_t>(size)));
            rest.remove_prefix(static_cast<std::size_t>(size));
        }
    }

    std::vector<Text> texts;

private:
    Numbers bytes_;
};

// `Lowest` of candidates that are tuples, as `Candidate` in c4build/flow/candidates.py.
class LowestOfPython {
public:
    LowestOfPython(std::size_t most, std::size_t most_held, nb::bytes outside);
    explicit LowestOfPython(Lowest lowest) : lowest(std::move(lowest)) {}

    void add(nb::tuple candidate);
    // Adds rows: of each field the column's values as they lie in memory, or (all texts' bytes one behind the other, [n] int32:
    // the size of each).
    void add_rows(nb::list columns);
    bool wants(std::uint64_t chance, nb::bytes groups, std::uint8_t stage) const { return lowest.wants(chance, text_of(groups), static_cast<Stage>(stage)); }
    nb::object limit(nb::bytes groups, std::uint8_t stage) const;
    nb::list groups_of(std::size_t at) const;
    nb::list limits() const; // of `Limit`'s fields
    // All, in row groups that end where their URLs and bodies have so many bytes: [(rows, [columns as Arrow has them])].
    nb::list row_groups(std::size_t bytes) const;

    Lowest lowest;
};

} // namespace c4
