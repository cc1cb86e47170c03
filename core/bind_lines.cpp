#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>

#include "bound.hpp"
#include "line_samples.hpp"

namespace c4 {

namespace {

// In the order of `LineFate`.
constexpr std::array<const char*, LINE_FATES> FATES = {
    "kept", "no_end_mark", "too_long_word", "too_few_words", "javascript", "policy", "lorem_ipsum", "curly_bracket"};

// The lines' rules of a rule set, with those of the phrases that drop a page which a variant looks for.
class LinesOfPython {
public:
    LinesOfPython(const nb::dict& rules, bool lorem_ipsum, bool curly_bracket)
        : filter_(line_rules(rules)), phrases_(static_cast<std::uint8_t>((lorem_ipsum ? LOREM : 0) | (curly_bracket ? CURLY : 0))) {}

    // (fate, what stays), of `line_judge` in c4build/rules/lines.py.
    nb::tuple fate_of(nb::str line) const {
        Text left = utf8_of(line);
        std::string holder;
        const LineFate fate = filter_.fate_of(left, phrases_, holder);
        return nb::make_tuple(FATES[static_cast<std::size_t>(fate)], to_str(left));
    }

    nb::object dropping_line(nb::str text) const { return to_str(filter_.dropping_line(utf8_of(text), phrases_)); }

    // Of (chance, body) of pages: [(fate, page, number, line)].
    nb::list sampled(const std::vector<std::pair<std::uint64_t, nb::bytes>>& pages, std::size_t most) const {
        std::vector<SampledPage> read;
        for (const auto& [chance, body] : pages) read.push_back({chance, text_of(body)});
        const auto found = unlocked([&] { return sampled_lines(filter_, phrases_, read, most); });
        nb::list made;
        for (std::size_t fate = 0; fate < found.size(); fate++)
            for (const SampledLine& one : found[fate]) made.append(nb::make_tuple(FATES[fate], one.page, one.number, to_str(one.line)));
        return made;
    }

private:
    LineFilter filter_;
    std::uint8_t phrases_;
};

} // namespace

void bind_lines(nb::module_& module) {
    nb::class_<LinesOfPython>(module, "Lines", "Fates of lines, see `c4build.rules.lines`, and those that are samples")
        .def(nb::init<const nb::dict&, bool, bool>(), nb::arg("rules"), nb::arg("lorem_ipsum"), nb::arg("curly_bracket"))
        .def("fate_of", &LinesOfPython::fate_of)
        .def("dropping_line", &LinesOfPython::dropping_line)
        .def("sampled", &LinesOfPython::sampled);
}

} // namespace c4
