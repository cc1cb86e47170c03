// The tables of the language detector, from langdetect's profiles.
#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>

#include "language.hpp"

namespace c4 {

// An n-gram of one language.
struct LanguageDetector::Gram {
    std::uint64_t key; // the classes of its letters, each 1 higher, the first one highest: 12 bits each
    int language;
    double share;
};

namespace {

// As many languages as make an n-gram common: its row takes all of a vector then, of others what they need.
constexpr std::size_t MANY_LANGUAGES = 4;
// Normal numbers of the first places of the random numbers are made once: most trials begin there.
constexpr std::size_t KNOWN_NORMALS = 2048;

std::u32string codes_of(Text text) {
    std::u32string codes;
    for (std::size_t at = 0; at < text.size();) {
        const Char found = char_at(text, at);
        codes += found.code;
        at += found.size;
    }
    return codes;
}

// An n-gram of a profile.
struct Counted {
    std::array<std::uint32_t, 3> codes;
    std::uint32_t size; // of them
    double count;
};

// One of langdetect's profiles: {"freq": {n-gram: count, ...}, "n_words": [three counts], "name": name}.
struct Profile {
    std::vector<Counted> counts; // without those that are empty or longer, which langdetect passes over
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
                profile.counts.reserve(json.size() / BYTES_OF_ONE);
                do {
                    const Text gram = text();
                    expect(':');
                    add(gram, number(), profile.counts);
                } while (next_is(','));
                expect('}');
            }
        } while (next_is(','));
        expect('}');
        if (profile.totals.size() != 3) fail();
        return profile;
    }

private:
    static constexpr std::size_t BYTES_OF_ONE = 10; // of an n-gram and its count, or somewhat more

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
        const std::size_t start = at;
        while (at < json.size() && json[at] != '"' && json[at] != '\\') at++;
        expect('"');
        return json.substr(start, at - 1 - start);
    }
    double number() {
        next_is(' ');
        const std::size_t start = at;
        double found = 0;
        for (; at < json.size() && json[at] >= '0' && json[at] <= '9'; at++) found = found * 10 + (json[at] - '0');
        if (at == start || at - start > 15) fail();
        return found;
    }

    static void add(Text gram, double count, std::vector<Counted>& counts) {
        Counted found{{}, 0, count};
        for (std::size_t next = 0; next < gram.size();) {
            if (found.size == found.codes.size()) return;
            const Char character = char_at(gram, next);
            found.codes[found.size++] = character.code;
            next += character.size;
        }
        if (found.size) counts.push_back(found);
    }

    Text json;
    std::size_t at = 0;
};

// Puts in order by 12 bits; what is alike in them stays in the order it was in.
template <class Gram> void sort_by(int shift, std::vector<Gram>& grams) {
    const auto bits = [&](const Gram& gram) { return gram.key >> shift & 0xFFF; };
    std::vector<std::size_t> places(0x1000);
    for (const Gram& gram : grams) places[bits(gram)]++;
    std::exclusive_scan(places.begin(), places.end(), places.begin(), std::size_t{0});
    std::vector<Gram> sorted(grams.size());
    for (const Gram& gram : grams) sorted[places[bits(gram)]++] = gram;
    grams.swap(sorted);
}

// Sets of n-grams that begin with the same one or two letters, added in their order: the classes behind, and the n-grams.
struct Sets {
    std::vector<std::uint64_t> before; // of each set: what it begins with
    std::vector<std::size_t> starts = {0}; // of each set, in the others; and the end
    std::vector<std::uint32_t> classes, grams;

    std::size_t size() const { return before.size(); }
    std::span<const std::uint32_t> classes_of(std::size_t set) const { return std::span(classes).subspan(starts[set], starts[set + 1] - starts[set]); }

    // False where the last one is of this class already.
    bool add(std::uint64_t begin, std::uint32_t of_class, std::uint32_t gram) {
        if (before.empty() || before.back() != begin) {
            before.push_back(begin);
            starts.push_back(starts.back());
        } else if (classes.back() == of_class) {
            return false;
        }
        classes.push_back(of_class);
        grams.push_back(gram);
        starts.back()++;
        return true;
    }

    // The sets with many n-grams first: the others find room between.
    std::vector<std::uint32_t> largest_first() const {
        std::vector<std::uint32_t> order(size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(),
            [&](auto a, auto b) { return starts[a + 1] - starts[a] > starts[b + 1] - starts[b]; });
        return order;
    }
};
constexpr std::uint32_t NO_SET = UINT32_MAX;

// Finds bases in an array of cells for sets of classes, where the cells are free. The larger sets come first.
class Places {
public:
    std::size_t place(std::span<const std::uint32_t> classes) {
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
    std::vector<bool> are_latin;         // by language
    for (const Text json : rules.profiles) {
        profiles.push_back(ProfileReader(json).read());
        names.emplace_back(profiles.back().name);
        double ascii = 0;
        for (const auto& [codes, size, count] : profiles.back().counts) {
            for (const std::uint32_t code : std::span(codes).first(size))
                if (code < 0x10000 && code != ' ' && normal[code] == code) shares[code] += count / profiles.back().totals[0];
            if (size == 1 && codes[0] < 0x80) ascii += count;
        }
        are_latin.push_back(ascii * 2 > profiles.back().totals[0]);
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
    std::size_t most = 0;
    for (const Profile& profile : profiles) most += profile.counts.size();
    grams.reserve(most);
    for (int language = 0; language < static_cast<int>(profiles.size()); language++) {
        for (const auto& [codes, size, count] : profiles[language].counts) {
            std::uint64_t key = 0;
            bool is_met = size > 1 || codes[0] != ' ';
            for (std::size_t i = 0; i < 3; i++) {
                key <<= 12;
                if (i >= size) continue;
                is_met &= codes[i] < 0x10000 && normal[codes[i] & 0xFFFF] == codes[i];
                key |= (letters[codes[i] & 0xFFFF] & CLASS) + 1;
            }
            if (is_met) grams.push_back({key, language, count / profiles[language].totals[size - 1]});
        }
    }
    for (const int shift : {0, 12, 24}) sort_by(shift, grams); // by key, and by language as they were
    make_grams(grams);
    make_near();
    for (std::size_t i = 0; i < KNOWN_NORMALS && i + WORDS_OF_NORMALS <= words.size(); i++) normals.push_back(normals_of(words.data() + i));
    make_script(are_latin, latin);
    are_latin.flip();
    make_script(are_latin, other);
}

void LanguageDetector::make_script(const std::vector<bool>& are_of_it, Script& script) const {
    for (int language = 0; language < static_cast<int>(names.size()); language++) {
        script.columns.push_back(are_of_it[language] ? script.languages.size() : REST);
        if (are_of_it[language]) script.languages.push_back(language);
        else script.rest++;
    }
    if (script.languages.size() > REST) throw std::invalid_argument("more languages of a script than langdetect has");
    for (const Shares& shares : common) {
        ScriptShares& made = script.shares.emplace_back();
        for (std::size_t language = 0; language < names.size(); language++) {
            float& share = made.of[script.columns[language]];
            share = std::max(share, static_cast<float>(shares.of[language]));
        }
    }
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
    letter_grams.resize(FIRST + known.size());
}

void LanguageDetector::make_grams(const std::vector<Gram>& grams) {
    const auto end_of = [&](std::size_t start) {
        std::size_t end = start;
        while (end < grams.size() && grams[end].key == grams[start].key) end++;
        return end;
    };
    std::size_t all = 1, all_common = 1; // 0 is none
    for (std::size_t start = 0, end; start < grams.size(); start = end, all++) {
        end = end_of(start);
        all_common += end - start >= MANY_LANGUAGES;
    }
    if (all > 0x10000) throw std::invalid_argument("more n-grams than langdetect's profiles have");
    common.resize(1);
    Sets begun_by_one, begun_by_two;
    std::vector<std::uint32_t> set_behind; // of each bigram: the set of trigrams that it begins
    for (std::size_t start = 0, end; start < grams.size(); start = end) {
        end = end_of(start);
        const bool is_common = end - start >= MANY_LANGUAGES;
        const std::uint64_t key = grams[start].key;
        const std::uint32_t first = (key >> 24) - 1, second = (key >> 12 & 0xFFF) - 1, third = (key & 0xFFF) - 1;
        const auto gram = static_cast<std::uint32_t>(is_common ? common.size() : all_common + rare_places.size());
        if (!(key & 0xFFFFFF)) {
            letter_grams[first] = gram;
        } else {
            const bool is_trigram = key & 0xFFF;
            if (begun_by_one.add(first, second, is_trigram ? 0 : gram)) set_behind.push_back(NO_SET);
            if (is_trigram) {
                begun_by_two.add(key >> 12, third, gram);
                set_behind.back() = begun_by_two.size() - 1;
            }
        }
        std::uint64_t languages = 0;
        for (std::size_t i = start; i < end; i++) languages |= 1ULL << grams[i].language;
        if (is_common) {
            common.emplace_back();
        } else {
            rare_places.push_back(rare.size());
            rare.push_back(std::bit_cast<double>(languages));
        }
        for (std::size_t i = start; i < end; i++) {
            most_share = std::max(most_share, grams[i].share);
            if (is_common) common.back().of[grams[i].language] = grams[i].share;
            else rare.push_back(grams[i].share);
        }
    }
    if (std::find(letter_grams.begin() + FIRST, letter_grams.end(), 0) != letter_grams.end())
        throw std::invalid_argument("a letter without a count of its own");

    std::vector<std::uint64_t> trigram_bases(begun_by_two.size());
    Places cells;
    for (const std::uint32_t set : begun_by_two.largest_first()) {
        const std::size_t base = trigram_bases[set] = cells.place(begun_by_two.classes_of(set));
        trigrams.resize(cells.end(), NO_CLASS);
        for (std::size_t i = begun_by_two.starts[set]; i < begun_by_two.starts[set + 1]; i++)
            trigrams[base + begun_by_two.classes[i]] = begun_by_two.classes[i] | begun_by_two.grams[i] << GRAM_SHIFT;
    }
    Places room;
    for (const std::uint32_t set : begun_by_one.largest_first()) {
        const std::size_t base = bigram_bases[begun_by_one.before[set]] = room.place(begun_by_one.classes_of(set));
        bigrams.resize(room.end(), NO_CLASS);
        for (std::size_t i = begun_by_one.starts[set]; i < begun_by_one.starts[set + 1]; i++) {
            const std::uint64_t trigram_base = set_behind[i] == NO_SET ? 0 : trigram_bases[set_behind[i]];
            bigrams[base + begun_by_one.classes[i]] =
                begun_by_one.classes[i] | std::uint64_t{begun_by_one.grams[i]} << GRAM_SHIFT | trigram_base << BASE_SHIFT;
        }
    }
}

} // namespace c4
