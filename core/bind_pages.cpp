#include <nanobind/stl/string.h>

#include <array>
#include <limits>
#include <utility>

#include "bound.hpp"

namespace c4 {

namespace {

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

class PagesOfPython {
public:
    PagesOfPython(const Steps& steps, const Units& units, const nb::dict& plan) : pages_(rules(plan), steps, units) {}

    void begin(nb::str path, std::size_t samples, bool every_dropped) {
        pages_.begin(utf8_of(path), samples);
        every_dropped_ = every_dropped;
    }

    nb::object take(std::uint32_t number, nb::handle page) {
        const Known known = nb::isinstance<RecordOfPython>(page) ? Known{nb::inst_ptr<RecordOfPython>(page)->fields(), {}} : known_of(page);
        const Taken taken = unlocked([&] { return pages_.take(known.fields, number); });
        if (!every_dropped_ || taken.reasons.find_first_not_of('\0') == std::string::npos) return nb::none();
        return nb::make_tuple(taken.chance, taken.row, to_bytes(taken.reasons), to_str(taken.url), taken.excluded, taken.is_news);
    }

    LowestOfPython take_lowest() { return LowestOfPython(pages_.take_lowest()); }

    // (halvings, [(chance, body, URL, is it news?)])
    nb::tuple looked() const {
        nb::list made;
        for (const LookedAt& page : pages_.looked().pages())
            made.append(nb::make_tuple(page.chance, to_bytes(page.body), to_str(page.url), page.is_news));
        return nb::make_tuple(pages_.looked().halvings(), made);
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
            .most_held = nb::cast<std::size_t>(plan["most_held"]),
            .most_looked = nb::cast<std::size_t>(plan["most_looked"]),
            .most_looked_bytes = nb::cast<std::size_t>(plan["most_looked_bytes"]),
        };
    }

    Pages pages_;
    bool every_dropped_ = false;
};

} // namespace

void bind_pages(nb::module_& module) {
    nb::class_<PagesOfPython>(module, "Pages", "What becomes of pages before deduplication, see `c4build.flow.pages`")
        .def(nb::init<const Steps&, const Units&, const nb::dict&>(), nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
        .def("begin", &PagesOfPython::begin, nb::arg("path"), nb::arg("samples"), nb::arg("every_dropped"))
        .def("take", &PagesOfPython::take)
        .def("counts", &PagesOfPython::counts)
        .def("counted_lines", &PagesOfPython::counted_lines)
        .def("take_lowest", &PagesOfPython::take_lowest)
        .def("looked", &PagesOfPython::looked)
        .def("take_columns", &PagesOfPython::take_columns)
        .def_prop_ro("rows", &PagesOfPython::rows)
        .def_prop_ro("size", &PagesOfPython::size);
}

} // namespace c4
