// The tables of the language detector, from langdetect's profiles.
#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "language.hpp"

namespace c4 {

// An n-gram of one language.
struct LanguageDetector::Gram {
    std::uint64_t key; // the classes of its letters, each 1 higher, the first one highest: 12 bits each
    std::uint64_t order; // by key and language
    double share;
    int language() const { return order & 0x3F; }
};

namespace {

std::u32string codes_of(Text text) {
    std::u32string codes;
    for (std::size_t at = 0; at < text.size();) {
        const Char found = char_at(text, at);
        codes += found.code;
        at += found.size;
    }
    return codes;
}

// One of langdetect's profiles: {"freq": {n-gram: count, ...}, "n_words": [three counts], "name": name}.
struct Profile {
    std::vector<std::pair<Text, double>> counts;
    std::vector<double> totals; // of the n-grams of one, two and three letters
    Text name;
};

class ProfileReader {
public:
    explicit ProfileReader(Text json) : json(json) {}

    Profile read() {
        Profile profile;
        expect('{');
        do {
            const Text key = text();
            expect(':');
            if (key == "name") {
                profile.name = text();
            } else if (key == "n_words") {
                expect('[');
                do profile.totals.push_back(number());
                while (next_is(','));
                expect(']');
            } else {
                expect('{');
                do {
                    const Text gram = text();
                    expect(':');
                    profile.counts.emplace_back(gram, number());
                } while (next_is(','));
                expect('}');
            }
        } while (next_is(','));
        expect('}');
        if (profile.totals.size() != 3) fail();
        return profile;
    }

private:
    [[noreturn]] void fail() { throw std::invalid_argument("not a profile of langdetect's"); }

    bool next_is(char wanted) {
        while (at < json.size() && (json[at] == ' ' || json[at] == '\n')) at++;
        if (at == json.size() || json[at] != wanted) return false;
        at++;
        return true;
    }
    void expect(char wanted) {
        if (!next_is(wanted)) fail();
    }
    Text text() {
        expect('"');
        const std::size_t end = json.find('"', at);
        if (end == Text::npos) fail();
        const Text found = json.substr(at, end - at);
        if (found.find('\\') != Text::npos) fail();
        at = end + 1;
        return found;
    }
    double number() {
        next_is(' ');
        const std::size_t start = at;
        double found = 0;
        for (; at < json.size() && json[at] >= '0' && json[at] <= '9'; at++) found = found * 10 + (json[at] - '0');
        if (at == start || at - start > 15) fail();
        return found;
    }

    Text json;
    std::size_t at = 0;
};

// Finds bases in an array of cells for sets of classes, where the cells are free. The larger sets come first.
class Places {
public:
    std::size_t place(const std::vector<std::uint32_t>& classes) {
        if (std::bit_width(classes.size()) != size) start = 0;
        size = std::bit_width(classes.size());
        start = std::max({start, first_free, static_cast<std::size_t>(classes[0])});
        for (;; start++) {
            const std::size_t base = start - classes[0];
            if (cells.size() < base + SPAN) {
                cells.resize(base + 2 * SPAN);
                bases.resize(base + 2 * SPAN);
            }
            if (cells[start] || bases[base]) continue;
            if (std::any_of(classes.begin(), classes.end(), [&](auto each) { return cells[base + each]; })) continue;
            bases[base] = true;
            for (const auto each : classes) cells[base + each] = true;
            while (cells[first_free]) first_free++;
            return base;
        }
    }
    std::size_t end() const { return cells.size(); } // there is a cell for every class at each base before

private:
    static constexpr std::size_t SPAN = 0x800; // more than there are classes
    std::vector<char> cells, bases = {true}; // what is taken
    std::size_t first_free = 0, start = 0; // from `start` on there may be room for the next set of about
    int size = 0;                          // as many classes as this has bits
};

} // namespace

LanguageDetector::LanguageDetector(const LanguageRules& rules)
    : words(rules.words),
      vietnamese_letters(codes_of(rules.vietnamese_letters)),
      vietnamese_marks(codes_of(rules.vietnamese_marks)),
      compensated(rules.compensated) {
    for (const Text each : rules.vietnamese) vietnamese.push_back(codes_of(each));
    if (vietnamese.size() != vietnamese_marks.size()) throw std::invalid_argument("marks without letters");
    for (const auto& each : vietnamese)
        if (each.size() != vietnamese_letters.size()) throw std::invalid_argument("letters without marks");
    if (rules.profiles.size() > MOST_LANGUAGES) throw std::invalid_argument("more languages than langdetect has");
    make_normal(rules);

    std::vector<Profile> profiles;
    std::vector<double> shares(0x10000); // of letters
    for (const Text json : rules.profiles) {
        profiles.push_back(ProfileReader(json).read());
        names.emplace_back(profiles.back().name);
        for (const auto& [gram, count] : profiles.back().counts)
            for (const char32_t code : codes_of(gram))
                if (code < 0x10000 && code != ' ' && normal[code] == code) shares[code] += count / profiles.back().totals[0];
    }
    std::vector<std::uint32_t> known;
    for (std::uint32_t code = 0; code < 0x10000; code++)
        if (shares[code] > 0) known.push_back(code);
    // Letters of ASCII first, in their order; then other Latin ones, so that most of Europe's texts are near. Letters that are
    // met often have neighbours in the tables that are.
    const auto kind = [](std::uint32_t code) { return code < 0x80 ? 0 : code < 0x250 ? 1 : 2; };
    std::stable_sort(known.begin(), known.end(), [&](auto a, auto b) {
        if (kind(a) != kind(b)) return kind(a) < kind(b);
        return kind(a) != 0 && shares[a] > shares[b];
    });
    if (known.size() < NEAR || known[0] != 'A' || known[ASCII_LETTERS - 1] != 'z')
        throw std::invalid_argument("a letter of ASCII that no profile has");
    make_letters(known);

    std::vector<Gram> grams;
    for (int language = 0; language < static_cast<int>(profiles.size()); language++) {
        for (const auto& [gram, count] : profiles[language].counts) {
            const std::u32string codes = codes_of(gram);
            if (codes.empty() || codes.size() > 3) continue;
            std::uint64_t key = 0;
            bool is_met = codes != U" ";
            for (std::size_t i = 0; i < 3; i++) {
                key <<= 12;
                if (i >= codes.size()) continue;
                is_met &= codes[i] < 0x10000 && normal[codes[i] & 0xFFFF] == codes[i];
                key |= (letters[codes[i] & 0xFFFF] & CLASS) + 1;
            }
            if (is_met) grams.push_back({key, key << 6 | language, count / profiles[language].totals[codes.size() - 1]});
        }
    }
    std::sort(grams.begin(), grams.end(), [](const Gram& a, const Gram& b) { return a.order < b.order; });
    make_grams(grams);
    make_near();
}

// langdetect's NGram.normalize.
void LanguageDetector::make_normal(const LanguageRules& rules) {
    normal.resize(0x10000);
    auto take = [&](std::uint32_t first, std::uint32_t last, std::uint32_t as) {
        std::fill(normal.begin() + first, normal.begin() + last + 1, as);
    };
    std::iota(normal.begin(), normal.end(), 0);
    take(0, 'A' - 1, ' ');
    take('Z' + 1, 'a' - 1, ' ');
    take('z' + 1, 0x7F, ' ');
    for (const char32_t code : codes_of(rules.latin1_spaces)) take(code & 0xFF, code & 0xFF, ' ');
    take(0x219, 0x219, 0x15F); // Romanian: comma below, cedilla
    take(0x21B, 0x21B, 0x163);
    take(0x6CC, 0x6CC, 0x64A);  // Farsi's yeh, Arabic's
    take(0x1EA0, 0x1EFF, 0x1EC3); // Vietnamese
    take(0x2000, 0x206F, ' ');
    take(0x3040, 0x309F, 0x3042); // Hiragana, Katakana, Bopomofo
    take(0x30A0, 0x30FF, 0x30A2);
    take(0x3100, 0x312F, 0x3105);
    take(0x31A0, 0x31BF, 0x3105);
    for (const Text alike : rules.kanji) {
        const std::u32string codes = codes_of(alike);
        for (const char32_t code : codes)
            if (code >= 0x4E00 && code <= 0x9FFF) normal[code] = codes[0];
    }
    take(0xAC00, 0xD7AF, 0xAC00); // Hangul
}

std::uint32_t LanguageDetector::normalized(std::uint32_t code) const { return code < 0x10000 ? normal[code] : code; }

void LanguageDetector::make_letters(const std::vector<std::uint32_t>& known) {
    if (FIRST + known.size() >= NO_CLASS) throw std::invalid_argument("more letters than langdetect's profiles have");
    std::vector<std::uint32_t> class_of(0x10000, SMALL);
    class_of[' '] = BLANK;
    for (std::size_t i = 0; i < known.size(); i++) class_of[known[i]] = FIRST + i;
    letters.resize(0x10000);
    for (std::uint32_t code = 0; code < 0x10000; code++) {
        const bool upper = is(normal[code], c4::UPPER);
        std::uint32_t found = class_of[normal[code]];
        if (found == SMALL && upper) found = CAPITAL;
        // As langdetect's `cleaning_text` counts them.
        const bool latin = code >= 'A' && code <= 'z', other = code >= 0x300;
        letters[code] = found | (upper ? UPPER : 0) | (latin ? LATIN : 0) | (other ? OTHER : 0);
    }
    bigram_bases.resize(FIRST + known.size());
    rows.resize(FIRST + known.size());
}

void LanguageDetector::make_grams(const std::vector<Gram>& grams) {
    // What begins with the same one or two letters: the classes behind, and the n-grams.
    struct Next {
        std::vector<std::uint32_t> classes, grams;
    };
    std::map<std::uint64_t, Next> bigrams_of, trigrams_of;
    for (std::size_t start = 0, end; start < grams.size(); start = end) {
        const std::uint64_t key = grams[start].key;
        std::uint64_t languages = 0;
        for (end = start; end < grams.size() && grams[end].key == key; end++) languages |= 1ULL << grams[end].language();
        const std::uint32_t first = (key >> 24) - 1, second = (key >> 12 & 0xFFF) - 1, third = (key & 0xFFF) - 1;
        if (!(key & 0xFFFFFF)) {
            rows[first] = weights.size();
        } else {
            const std::uint32_t gram = rows.size();
            rows.push_back(weights.size());
            Next& begins = bigrams_of[first];
            if (begins.classes.empty() || begins.classes.back() != second) {
                begins.classes.push_back(second);
                begins.grams.push_back(key & 0xFFF ? 0 : gram);
            }
            if (key & 0xFFF) {
                trigrams_of[key >> 12].classes.push_back(third);
                trigrams_of[key >> 12].grams.push_back(gram);
            }
        }
        const bool is_full = end - start >= MANY_LANGUAGES;
        weights.push_back(std::bit_cast<double>(is_full ? ALL_LANGUAGES : languages));
        const std::size_t row = weights.size();
        if (is_full) weights.resize(row + COLUMNS);
        for (std::size_t i = start; i < end; i++) {
            most_share = std::max(most_share, grams[i].share);
            if (is_full) weights[row + grams[i].language()] = grams[i].share;
            else weights.push_back(grams[i].share);
        }
    }
    const auto is_alone = [](const Gram& gram) { return !(gram.key & 0xFFFFFF); };
    std::uint64_t last = 0;
    std::size_t alone = 0;
    for (const Gram& gram : grams) alone += is_alone(gram) && gram.key != std::exchange(last, gram.key);
    if (FIRST + alone != bigram_bases.size()) throw std::invalid_argument("a letter without a count of its own");
    weights.resize(weights.size() + COLUMNS);
    if (rows.size() > 0xFFFF) throw std::invalid_argument("more n-grams than langdetect's profiles have");

    // Those with many behind first: the others find room between.
    auto largest_first = [](const std::map<std::uint64_t, Next>& of) {
        std::vector<std::pair<std::uint64_t, const Next*>> order;
        for (const auto& [key, next] : of) order.emplace_back(key, &next);
        std::stable_sort(order.begin(), order.end(),
            [](auto& a, auto& b) { return a.second->classes.size() > b.second->classes.size(); });
        return order;
    };
    std::map<std::uint64_t, std::uint32_t> trigram_bases;
    Places places;
    for (const auto& [key, next] : largest_first(trigrams_of)) {
        const std::size_t base = trigram_bases[key] = places.place(next->classes);
        trigrams.resize(places.end(), NO_CLASS);
        for (std::size_t i = 0; i < next->classes.size(); i++)
            trigrams[base + next->classes[i]] = next->classes[i] | next->grams[i] << GRAM_SHIFT;
    }
    Places room;
    for (const auto& [first, next] : largest_first(bigrams_of)) {
        const std::size_t base = bigram_bases[first] = room.place(next->classes);
        bigrams.resize(room.end(), NO_CLASS);
        for (std::size_t i = 0; i < next->classes.size(); i++) {
            const auto behind = trigram_bases.find((first + 1) << 12 | (next->classes[i] + 1));
            const std::uint64_t trigram_base = behind == trigram_bases.end() ? 0 : behind->second;
            bigrams[base + next->classes[i]] =
                next->classes[i] | std::uint64_t{next->grams[i]} << GRAM_SHIFT | trigram_base << BASE_SHIFT;
        }
    }
}

} // namespace c4
