// A target for libFuzzer: any bytes as a page, through the lines, the steps, the units and the example of each rule set.
//
// core/fuzz/run.sh builds it with AddressSanitizer and UndefinedBehaviorSanitizer, and runs it.
#include <Python.h>

#include <array>
#include <cstdlib>

#include "../finish.hpp"
#include "../hashes.hpp"
#include "../line_samples.hpp"
#include "../steps.hpp"
#include "../units.hpp"
#include "../urls.hpp"

using namespace c4;

namespace {

StepRules rules_of(bool final) {
    const Variants all = 3;
    StepRules rules{
        .lines = {
            .end_marks = {".", "!", "?", "\"", "\u201d"},
            .refused_endings = {"..."},
            .least_words = final ? 5u : 3u,
            .most_word_chars = final ? 20u : 0u,
            .citations = final,
            .page_phrases = final,
            .curly_brackets = {"{", "}"},
            .drop_lines_with = {"javascript", "terms of use", "\u00fcber"},
        },
        .bad_words = {"badword", "two words", "\u043c\u0430\u0442", "-x"},
        .least_sentences = 3,
        .sentences_left_in_text = final,
        .codes = {1, 2, 3, 4, 5, 6, 7, 8, 9},
        .before = {{Step::LINES, all}, {Step::SENTENCES, all}},
        .after = {{Step::SENTENCES_LEFT, all}, {Step::LANGUAGE, all}, {Step::BAD_WORDS, 1}},
        .look_for_lorem = 1,
        .look_for_curly = 2,
        .judge_language = [](Text) { return LanguageVerdict::SAME; },
    };
    if (!final) rules.before.insert(rules.before.begin(), {{Step::LOREM_IPSUM, 1}, {Step::CURLY_BRACKET, 2}, {Step::BAD_WORDS, all}});
    return rules;
}

struct Target {
    std::shared_ptr<const Punkt> punkt = std::make_shared<const Punkt>(
        std::vector<std::string>{"dr", "e.g", "u.s"}, std::vector<std::pair<std::string, std::string>>{{"##number##", "bad"}},
        std::vector<std::string>{"the", "he"}, std::unordered_map<std::string, int>{{"the", 98}, {"smith", 6}});
    Steps paper{rules_of(false), punkt}, final{rules_of(true), punkt};
    Units lines{0, punkt}, spans{3, punkt};
    BadWords bad_words{rules_of(true).bad_words};
    LineFilter filter{rules_of(true).lines};
};

// What is told of samples: where bad words stand, in order; and lines, each once.
void tell(const Target& target, Text body) {
    std::size_t last = 0;
    for (const auto& [start, stop] : target.bad_words.places(body)) {
        if (start < last || stop < start || stop > body.size()) std::abort();
        last = stop;
    }
    const Text dropping = target.filter.dropping_line(body, LOREM | CURLY);
    if (dropping.size() > body.size()) std::abort();
    const std::array<SampledPage, 2> pages{{{7, body}, {7, body}}};
    for (const auto& lines : sampled_lines(target.filter, CURLY, pages, 3)) {
        if (lines.size() > 3) std::abort();
        for (const SampledLine& line : lines)
            if (line.page > 1 || line.line.empty() || line.number > body.size()) std::abort();
    }
}

// Two pages of a row group, of which both variants and one have lost something; the third variant has them as they were read.
void finish(const Steps& steps, const Units& units, Text text, Text body) {
    const auto keys = static_cast<std::uint32_t>(units.keys(text).size() / 16);
    const std::array<Text, 2> texts{text, text}, raws{body, body}, names{"text", "url"};
    const std::array<Variants, 2> running{7, 3}, lost{3, 1};
    const std::array<std::uint32_t, 2> each{keys, keys}, positions{keys / 2, keys};
    const Surviving pages{.texts = texts, .raws = raws, .running = running, .keys = each, .positions = positions, .lost = lost};
    const Outcomes outcomes = outcomes_of(steps, units, pages, 4, 3);
    const std::array<std::uint64_t, 2> chances{body.size(), text.size()};
    const std::array<std::uint32_t, 2> numbers{0, 1};
    const std::array<std::uint8_t, 2> cleaned{1, 0};
    const std::array<Variants, 2> duplicates{4, 4}, unlisted{1, 2};
    const std::array<Loss, 2> losses{{{duplicates, 1}, {unlisted, 2}}};
    Described of{0, chances, numbers, texts, raws, cleaned, losses, 0};
    Lowest lowest(1, 9, "");
    const LookedInto looked = take_samples(lowest, units, pages, outcomes, of);
    if (looked.kept.size() > outcomes.rows.size() || looked.repeats.size() > positions.size()) std::abort();
    const std::size_t found = lowest.held().size();
    lowest.begin();
    of.file = -1;
    take_samples(lowest, units, pages, outcomes, of); // the lower file displaces the other's
    if (lowest.held().size() != found) std::abort();
    for (const Candidate* held : lowest.held())
        if (held->body.size() > 9 || held->rank.file != -1) std::abort();
    const std::vector<std::vector<Text>> columns{{body, text}};
    const std::array<std::uint8_t, 2> left_out{};
    const auto frames = [&](const Framer& framer) {
        std::string made(framer.bytes, '\0');
        framer.write(made.data());
        return made;
    };
    const Framer framer(outcomes, 7, names, columns, left_out);
    const std::string all = frames(framer);
    for (std::size_t variant = 0; variant < 3; variant++) { // what is copied is what the variant alone has
        std::string part(part_of(framer.frames, variant).bytes, '\0');
        copy_part(framer.frames, variant, all.data(), part.data());
        if (part != frames(Framer(outcomes, Variants{1} << variant, names, columns, left_out))) std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    Py_Initialize();
    make_unicode_tables();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Target target;
    const Text body(reinterpret_cast<const char*>(data), size);
    const bool decodes = is_utf8(body);
    tell(target, body);
    for (const Steps* steps : {&target.paper, &target.final}) {
        std::uint8_t reasons[2] = {};
        LineCounts counts;
        std::string made;
        const std::optional<Text> text = steps->before(body, 3, reasons, counts, made);
        const std::uint64_t told = counts.kept + counts.no_end_mark + counts.too_long_word + counts.too_few_words + counts.javascript
                                   + counts.policy + counts.of_dropped_pages;
        if (told != counts.read) std::abort();
        if (!text) continue;
        if (decodes && !is_utf8(*text)) std::abort();
        for (const Units* units : {&target.lines, &target.spans}) {
            const std::string keys = units->keys(*text);
            if (keys.size() % 16) std::abort();
            const std::string left = units->without(*text, {0, 2});
            if (decodes && !is_utf8(left)) std::abort();
            steps->after(left, 3, reasons);
        }
        finish(*steps, steps == &target.paper ? target.spans : target.lines, *text, body);
    }
    normalize_url(body);
    md5(body);
    return 0;
}
