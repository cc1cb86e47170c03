#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings.hpp"
#include "language.hpp"

namespace c4 {

namespace {

std::vector<Text> texts_of(const nb::list& list) {
    std::vector<Text> texts;
    for (const nb::handle each : list) texts.push_back(text_of(nb::cast<nb::bytes>(each)));
    return texts;
}

} // namespace

void bind_language(nb::module_& module) {
    using namespace nb::literals;
    nb::class_<LanguageDetector>(module, "LanguageDetector",
        "langdetect: called with a text in UTF-8, gives its likeliest language and that one's probability, None where there\n"
        "are no letters to go by.")
        .def(
            "__init__",
            [](LanguageDetector* detector, const nb::list& profiles, const nb::bytes& latin1_spaces, const nb::list& kanji,
                const nb::bytes& vietnamese_letters, const nb::bytes& vietnamese_marks, const nb::list& vietnamese,
                const nb::bytes& random_words, bool compensated) {
                LanguageRules rules{texts_of(profiles), text_of(latin1_spaces), texts_of(kanji), text_of(vietnamese_letters),
                    text_of(vietnamese_marks), texts_of(vietnamese), {}, compensated};
                const Text words = text_of(random_words); // each lowest byte first
                for (std::size_t i = 0; i + 4 <= words.size(); i += 4) {
                    std::uint32_t word = 0;
                    for (int k = 0; k < 4; k++) word |= static_cast<std::uint32_t>(static_cast<unsigned char>(words[i + k])) << 8 * k;
                    rules.words.push_back(word);
                }
                new (detector) LanguageDetector(rules);
            },
            nb::kw_only(), "profiles"_a, "latin1_spaces"_a, "kanji"_a, "vietnamese_letters"_a, "vietnamese_marks"_a,
            "vietnamese"_a, "random_words"_a, "compensated"_a)
        .def("__call__",
            [](const LanguageDetector& detector, const nb::bytes& text) -> nb::object {
                const LanguageDetector::Answer answer = unlocked([&] { return detector.detect(text_of(text)); });
                if (answer.language < 0) return nb::none();
                return nb::make_tuple(detector.name(answer.language), answer.probability);
            })
        .def("judge",
            [](const LanguageDetector& detector, const nb::bytes& text, const std::string& language, double least) -> std::optional<const char*> {
                switch (unlocked([&] { return detector.judge(text_of(text), detector.number(language), least); })) {
                case LanguageVerdict::UNKNOWN: return "language_unknown";
                case LanguageVerdict::UNSURE: return "language_unsure";
                case LanguageVerdict::OTHER: return "other_language";
                case LanguageVerdict::SAME: break;
                }
                return std::nullopt;
            }, "text"_a, "language"_a, "least"_a, "What `language_test` in c4build/rules/language.py says of a text")
        .def("likely",
            [](const LanguageDetector& detector, const nb::bytes& text) {
                nb::list found;
                for (const auto& [language, probability] : unlocked([&] { return detector.likely(text_of(text)); }))
                    found.append(nb::make_tuple(detector.name(language), probability));
                return found;
            }, "All languages that langdetect finds likely, with their probabilities, the likeliest first")
        .def("normalized", &LanguageDetector::normalized, "A letter as langdetect's profiles have it, for tests");
}

} // namespace c4
