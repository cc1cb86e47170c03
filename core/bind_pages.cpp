#include <nanobind/stl/string.h>

#include <array>
#include <limits>
#include <utility>

#include "bound.hpp"

namespace c4 {

namespace {

// A column as (how many are null, its buffers as Arrow has them).
template <class... Buffers>
nb::object column_of(const Validity& validity, const Buffers&... buffers) {
    const nb::object there = validity.nulls() ? nb::object(to_bytes(validity.bits())) : nb::none();
    return nb::make_tuple(validity.nulls(), nb::make_tuple(there, buffers...));
}

nb::object column_of(const TextColumn& column) {
    return column_of(column.validity(), to_bytes(column.offsets()), to_bytes(column.data()));
}

// By the names of `Row`.
nb::dict to_dict(const Columns& columns) {
    const Validity all;
    nb::dict made;
    made["reasons"] = column_of(columns.reasons);
    made["number"] = column_of(all, to_bytes(columns.numbers));
    made["chance"] = column_of(all, to_bytes(columns.chances));
    made["url_hash"] = column_of(all, to_bytes(columns.hashes));
    made["timestamp"] = column_of(columns.timestamps);
    made["url"] = column_of(columns.urls);
    made["content_type"] = column_of(columns.content_types);
    made["content_length"] = column_of(columns.content_lengths);
    made["validation"] = column_of(columns.validations.validity, to_bytes(columns.validations.values.bits()));
    made["rank"] = column_of(all, to_bytes(columns.ranks));
    made["keys"] = column_of(columns.keys);
    made["key_count"] = column_of(all, to_bytes(columns.key_counts));
    made["text"] = column_of(columns.texts);
    made["raw"] = column_of(columns.raws);
    made["record_id"] = column_of(columns.record_ids);
    made["refers_to"] = column_of(columns.refers_to);
    made["path"] = column_of(columns.paths);
    made["offset"] = column_of(columns.offsets);
    return made;
}

// What is known of a page, and what Python must keep while it is used.
struct Known {
    PageFields fields;
    std::array<nb::object, 7> kept;
};

// `Page` of Python, for a record that is out of the ordinary.
Known known_of(nb::handle page) {
    Known known;
    std::size_t next = 0;
    const auto text = [&](const char* name) {
        const nb::object& value = known.kept[next++] = page.attr(name);
        return PyBytes_Check(value.ptr()) ? text_of(nb::borrow<nb::bytes>(value)) : utf8_of(value);
    };
    known.fields = {text("url"), text("body"), text("timestamp"), text("content_type"), text("content_length"),
        text("record_id"), text("refers_to"), nb::cast<std::int64_t>(page.attr("offset"))};
    return known;
}

// A number of Python's as a limit: nothing where it lies above all chances.
std::optional<std::uint64_t> limit_of(nb::handle number) {
    const auto limit = PyLong_AsUnsignedLongLong(number.ptr());
    if (!PyErr_Occurred()) return limit;
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw nb::python_error();
    PyErr_Clear();
    return std::nullopt;
}

class PagesOfPython {
public:
    PagesOfPython(const Steps& steps, const Units& units, const nb::dict& plan) : pages_(rules(plan), steps, units) {}

    void begin(nb::str path, nb::object limits, bool every_dropped) {
        pages_.begin(utf8_of(path));
        limits_ = std::move(limits);
        every_dropped_ = every_dropped;
        look_below_.reset();
    }

    void look_below(nb::handle limit) { look_below_ = limit_of(limit); }

    nb::object take(std::uint32_t number, nb::handle page) {
        const Known known = nb::isinstance<RecordOfPython>(page) ? Known{nb::inst_ptr<RecordOfPython>(page)->fields(), {}} : known_of(page);
        const Taken taken = unlocked([&] { return pages_.take(known.fields, number); });
        const nb::bytes reasons = to_bytes(taken.reasons);
        if (!asked_for(taken, reasons)) return nb::none();
        return nb::make_tuple(taken.chance, taken.row, reasons, to_str(taken.url), taken.excluded, taken.is_news);
    }

    nb::list counts() const {
        nb::list made;
        for (const auto& of_track : pages_.counts()) {
            nb::dict counts;
            for (std::size_t reason = 0; reason < of_track.size(); reason++)
                if (of_track[reason]) counts[nb::int_(reason)] = of_track[reason];
            made.append(counts);
        }
        return made;
    }

    nb::dict counted_lines() const { return to_dict(pages_.lines()); }
    nb::dict take_columns() { return to_dict(pages_.take_columns()); }
    std::size_t rows() const { return pages_.rows(); }
    std::size_t size() const { return pages_.bytes(); }

private:
    static PageRules rules(const nb::dict& plan) {
        const auto asking = [&](const char* name) -> std::function<bool(Text)> {
            const nb::object test = plan[name];
            if (test.is_none()) return {};
            return [test](Text url) {
                const nb::gil_scoped_acquire lock;
                return nb::cast<bool>(nb::bool_(test(to_str(url))));
            };
        };
        return {
            .tracks = nb::cast<std::size_t>(plan["tracks"]),
            .clean = nb::cast<Variants>(plan["clean"]),
            .raw = nb::cast<Variants>(plan["raw"]),
            .news = nb::cast<Variants>(plan["news"]),
            .rows_of_dropped = nb::cast<bool>(plan["rows_of_dropped"]),
            .provenance = nb::cast<bool>(plan["provenance"]),
            .excluded = nb::cast<std::uint8_t>(plan["excluded"]),
            .not_a_news_domain = nb::cast<std::uint8_t>(plan["not_a_news_domain"]),
            .is_excluded = asking("is_excluded"),
            .is_news = asking("is_news"),
        };
    }

    // May the page be a sample, or be looked at, or must it be written as dropped?
    bool asked_for(const Taken& taken, nb::handle reasons) const {
        if (every_dropped_ && taken.reasons.find_first_not_of('\0') != std::string::npos) return true;
        if (limits_.is_none()) return false;
        if (!taken.excluded && (!look_below_ || taken.chance < *look_below_)) return true;
        PyObject* const found = PyDict_GetItemWithError(limits_.ptr(), reasons.ptr());
        if (!found && PyErr_Occurred()) throw nb::python_error();
        const std::optional<std::uint64_t> limit = found ? limit_of(found) : std::nullopt;
        return !limit || taken.chance < *limit;
    }

    Pages pages_;
    nb::object limits_ = nb::none();
    bool every_dropped_ = false;
    std::optional<std::uint64_t> look_below_;
};

} // namespace

void bind_pages(nb::module_& module) {
    nb::class_<PagesOfPython>(module, "Pages", "What becomes of pages before deduplication, see `c4build.flow.pages`")
        .def(nb::init<const Steps&, const Units&, const nb::dict&>(), nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
        .def("begin", &PagesOfPython::begin, nb::arg("path"), nb::arg("limits").none(), nb::arg("every_dropped"))
        .def("look_below", &PagesOfPython::look_below)
        .def("take", &PagesOfPython::take)
        .def("counts", &PagesOfPython::counts)
        .def("counted_lines", &PagesOfPython::counted_lines)
        .def("take_columns", &PagesOfPython::take_columns)
        .def_prop_ro("rows", &PagesOfPython::rows)
        .def_prop_ro("size", &PagesOfPython::size);
}

} // namespace c4
