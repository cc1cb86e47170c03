#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <utility>

#include "bound.hpp"
#include "example.hpp"
#include "hashes.hpp"
#include "language.hpp"
#include "steps.hpp"
#include "units.hpp"
#include "urls.hpp"

namespace c4 {

Text utf8_of(nb::handle text) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (!data) throw nb::python_error();
    return {data, static_cast<std::size_t>(size)};
}

nb::dict to_dict(const LineCounts& counts) {
    nb::dict found;
    const auto put = [&](const char* name, std::uint64_t count) {
        if (count) found[name] = count;
    };
    put("read", counts.read);
    put("kept", counts.kept);
    put("no_end_mark", counts.no_end_mark);
    put("too_long_word", counts.too_long_word);
    put("too_few_words", counts.too_few_words);
    put("javascript", counts.javascript);
    put("policy", counts.policy);
    put("of_dropped_pages", counts.of_dropped_pages);
    return found;
}

LineRules line_rules(const nb::dict& rules) {
    const auto texts = [&](const char* name) { return nb::cast<std::vector<std::string>>(rules[name]); };
    const auto number = [&](const char* name) { return nb::cast<std::size_t>(rules[name]); };
    const auto flag = [&](const char* name) { return nb::cast<bool>(rules[name]); };
    return {
        .end_marks = texts("end_marks"),
        .refused_endings = texts("refused_endings"),
        .least_words = number("min_words_per_line"),
        .most_word_chars = number("max_word_chars"),
        .citations = flag("remove_citations"),
        .page_phrases = flag("page_phrases_in_lines"),
        .curly_brackets = texts("curly_brackets"),
        .drop_lines_with = texts("drop_lines_with"),
    };
}

namespace {

// A str, or bytes that are UTF-8.
Text text_or_bytes(nb::handle value) {
    if (!PyBytes_Check(value.ptr())) return utf8_of(value);
    return {PyBytes_AS_STRING(value.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(value.ptr()))};
}

// In the order of `Step`.
const std::vector<std::string> STEPS = {
    "lorem_ipsum", "curly_bracket", "bad_words", "lines", "sentences", "language", "sentences_left"};

std::vector<Planned> planned(const nb::list& steps) {
    std::vector<Planned> plan;
    for (const nb::handle item : steps) {
        const auto [name, variants] = nb::cast<std::pair<std::string, Variants>>(item);
        const auto step = std::find(STEPS.begin(), STEPS.end(), name);
        if (step == STEPS.end()) throw nb::value_error("no step is called that");
        plan.push_back({static_cast<Step>(step - STEPS.begin()), variants});
    }
    return plan;
}

// The steps with what they count: one a process, as Python's.
class StepsOfPython : public Steps {
public:
    StepsOfPython(
        const nb::dict& plan, std::shared_ptr<const Punkt> punkt, const std::shared_ptr<const LanguageDetector>& detector)
        : Steps(rules(plan, detector), std::move(punkt)) {}

    nb::object before(const nb::bytes& body, Variants running, nb::handle reasons) {
        std::string made;
        const std::optional<Text> text = Steps::before(text_of(body), running, writable(reasons), counts, made);
        return text ? to_str(*text) : nb::none();
    }

    nb::object after(nb::object text, Variants running, nb::handle reasons) {
        return Steps::after(utf8_of(text), running, writable(reasons)) ? text : nb::none();
    }

    LineCounts counts;

private:
    static std::span<std::uint8_t> writable(nb::handle reasons) {
        if (!PyByteArray_Check(reasons.ptr())) throw nb::type_error("reasons must be a bytearray");
        return {
            reinterpret_cast<std::uint8_t*>(PyByteArray_AS_STRING(reasons.ptr())),
            static_cast<std::size_t>(PyByteArray_GET_SIZE(reasons.ptr()))};
    }

    static StepRules rules(const nb::dict& plan, const std::shared_ptr<const LanguageDetector>& detector) {
        const auto texts = [&](const char* name) { return nb::cast<std::vector<std::string>>(plan[name]); };
        const auto number = [&](const char* name) { return nb::cast<std::size_t>(plan[name]); };
        const nb::dict codes(plan["codes"]);
        const auto code = [&](const char* name) { return nb::cast<std::uint8_t>(codes[name]); };
        return {
            .lines = line_rules(plan),
            .bad_words = texts("bad_words"),
            .least_sentences = number("min_sentences"),
            .sentences_left_in_text = nb::cast<std::string>(plan["duplicates"]) == "lines",
            .codes = {
                code("lorem_ipsum"), code("curly_bracket"), code("bad_words"), code("too_few_sentences"),
                code("language_unknown"), code("language_unsure"), code("other_language"), code("nothing_left"),
                code("too_few_sentences_left"),
            },
            .before = planned(nb::list(plan["before"])),
            .after = planned(nb::list(plan["after"])),
            .look_for_lorem = nb::cast<Variants>(plan["look_for_lorem"]),
            .look_for_curly = nb::cast<Variants>(plan["look_for_curly"]),
            .judge_language = [detector, language = detector->number(nb::cast<std::string>(plan["language"])),
                                  least = nb::cast<double>(plan["min_language_probability"])](Text text) {
                return detector->judge(text, language, least);
            },
        };
    }
};

} // namespace

void bind_steps(nb::module_& module) {
    module.attr("STEPS") = nb::cast(STEPS);
    nb::class_<Steps>(module, "JudgingSteps");
    nb::class_<StepsOfPython, Steps>(module, "Steps")
        .def(nb::init<const nb::dict&, std::shared_ptr<const Punkt>, const std::shared_ptr<const LanguageDetector>&>())
        .def("before", &StepsOfPython::before)
        .def("after", &StepsOfPython::after)
        .def("take_counts", [](StepsOfPython& steps) { return to_dict(std::exchange(steps.counts, {})); }); // since the last call
    nb::class_<Units>(module, "Units")
        .def(nb::init<std::size_t, std::shared_ptr<const Punkt>>())
        .def("keys", [](const Units& units, nb::str text) { return to_bytes(units.keys(utf8_of(text))); })
        .def("at", [](const Units& units, nb::str text, const std::vector<std::size_t>& positions) { return units.at(utf8_of(text), positions); })
        .def("remove", [](const Units& units, nb::str text, const std::vector<std::size_t>& lost) {
            return to_str(units.without(utf8_of(text), lost));
        });
    module.def("framed_example", [](const nb::list& names, const nb::list& values) {
        if (nb::len(names) != nb::len(values)) throw nb::value_error("as many names as values are needed");
        std::vector<Text> name_texts, value_texts;
        for (const nb::handle name : names) name_texts.push_back(text_or_bytes(name));
        for (const nb::handle value : values) value_texts.push_back(text_or_bytes(value));
        return to_bytes(framed_example(name_texts, value_texts));
    });
    module.def("url_key", [](nb::str url) {
        const std::string normalized = normalize_url(utf8_of(url));
        const Hash128 hash = murmur3(normalized);
        std::string key;
        append_hash(key, hash);
        return nb::make_tuple(to_str(normalized), to_bytes(key), hash.high, in_validation(normalized), rank(utf8_of(url)));
    });
}

} // namespace c4
