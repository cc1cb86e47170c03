#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <array>
#include <functional>
#include <string>
#include <utility>

#include "bound.hpp"
#include "lines.hpp"
#include "urls.hpp"

namespace c4 {

namespace {

// By the names of `Row`: columns as `column_of` gives them, whose buffers lie where they were filled.
nb::dict to_dict(Columns filled) {
    const auto held = new Columns(std::move(filled));
    const nb::capsule owner(held, [](void* columns) noexcept { delete static_cast<Columns*>(columns); });
    const Columns& columns = *held;
    const auto memory = [&](const void* data, std::size_t bytes) {
        return nb::cast(nb::ndarray<nb::numpy, const std::uint8_t, nb::ndim<1>>(data, {bytes}, owner));
    };
    const auto bytes_of = [&](Text text) { return memory(text.data(), text.size()); };
    const auto numbers_of = [&](const auto& numbers) { return memory(numbers.data(), numbers.size() * sizeof numbers[0]); };
    const auto numbers = [&](const auto& all) { return column_of(Validity(), numbers_of(all)); };
    const auto texts = [&](const TextColumn& column) {
        return column_of(column.validity(), numbers_of(column.offsets()), bytes_of(column.data()));
    };
    nb::dict made;
    made["reasons"] = texts(columns.reasons);
    made["number"] = numbers(columns.numbers);
    made["chance"] = numbers(columns.chances);
    made["url_hash"] = column_of(Validity(), bytes_of(columns.hashes));
    made["timestamp"] = texts(columns.timestamps);
    made["url"] = texts(columns.urls);
    made["content_type"] = texts(columns.content_types);
    made["content_length"] = texts(columns.content_lengths);
    made["validation"] = column_of(columns.validations.validity, bytes_of(columns.validations.values.bits()));
    made["rank"] = numbers(columns.ranks);
    made["keys"] = texts(columns.keys);
    made["key_count"] = numbers(columns.key_counts);
    made["text"] = texts(columns.texts);
    made["raw"] = texts(columns.raws);
    made["record_id"] = texts(columns.record_ids);
    made["refers_to"] = texts(columns.refers_to);
    made["path"] = texts(columns.paths);
    made["offset"] = texts(columns.offsets);
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

// A test of URLs by their domains, asked for those alone that end with one of these names, and once for each plain host.
class HostTest {
public:
    HostTest(std::function<bool(Text)> test, const nb::list& names) : test_(std::move(test)) {
        for (const nb::handle name : names) names_.emplace(text_of(nb::cast<nb::bytes>(name)));
    }

    bool operator()(Text url) {
        Text host = plain_host(url);
        while (host.ends_with('.')) host.remove_suffix(1);
        if (host.empty()) return test_(url);
        if (!ends_with_name(host)) return false;
        const auto found = known_.find(host);
        if (found != known_.end()) return found->second;
        if (known_.size() == MOST_KNOWN) known_.clear();
        return known_[std::string(host)] = test_(url);
    }

private:
    static constexpr std::size_t MOST_KNOWN = 1 << 16;

    // A domain is the last labels of its host.
    bool ends_with_name(Text host) const {
        for (std::size_t at = 0;; at++) {
            if (names_.contains(host.substr(at))) return true;
            at = host.find('.', at);
            if (at == Text::npos) return false;
        }
    }

    std::function<bool(Text)> test_;
    TextSet names_;
    TextMap<bool> known_;
};

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

    // (halvings, halvings of those that are judged, so many at most, [(counted, URL, is it news?, the body of one that is judged)])
    nb::tuple looked(std::size_t most_judged) const {
        const Looked& looked = pages_.looked();
        const unsigned judged = looked.halvings_for(most_judged);
        nb::list made;
        std::string text;
        for (const LookedAt& page : looked.pages()) {
            const nb::object body = is_below(page.chance, judged) ? nb::object(to_bytes(page.body)) : nb::none();
            made.append(nb::make_tuple(to_tuple(count(page_text(page.body, text))), to_str(page.url), page.is_news, body));
        }
        return nb::make_tuple(looked.halvings(), judged, made);
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
            .is_news = HostTest(asking("is_news"), nb::list(plan["news_names"])),
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
