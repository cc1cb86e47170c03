#include "language.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "widest.hpp"

namespace c4 {

namespace {

// Parameters of langdetect's Detector.
constexpr int MOST_CHARACTERS = 10000, TRIALS = 7;
constexpr double LEAST = 0.1;

// No more bytes than these are needed of a text that is not changed before it is cut.
constexpr std::size_t MOST_BYTES = 4 * MOST_CHARACTERS + 100;

// What of a text may have to be changed.
struct Signs {
    unsigned char url, mail, mark; // "://", '@', the byte that all of Vietnamese's marks begin with
    bool any() const { return url | mail | mark; }
};

WIDEST Signs signs_in(Text text) {
    Signs signs{};
    const char* const at = text.data();
    for (std::size_t i = 0; i < text.size(); i++) {
        signs.mail |= at[i] == '@';
        signs.mark |= at[i] == '\xCC';
    }
    for (std::size_t i = 2; i < text.size(); i++) signs.url |= (at[i - 2] == ':') & (at[i - 1] == '/') & (at[i] == '/');
    return signs;
}

bool in_mail(char c) { // [-_.0-9A-Za-z]
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool in_url(char c) { return in_mail(c) || Text("?&~;+=/#").find(c) != Text::npos; } // [-_.?&~;+=/#0-9A-Za-z]

// A text with a space for each `https?://[-_.?&~;+=/#0-9A-Za-z]{1,2076}`.
std::string without_urls(Text text) {
    std::string rest;
    rest.reserve(text.size());
    std::size_t copied = 0;
    for (std::size_t at = 0; (at = text.find("://", at)) != Text::npos; at++) {
        std::size_t start = at - (at > copied && text[at - 1] == 's');
        if (start < copied + 4 || text.substr(start - 4, 4) != "http") continue;
        std::size_t end = at + 3;
        const std::size_t stop = std::min(text.size(), end + 2076);
        while (end < stop && in_url(text[end])) end++;
        if (end == at + 3) continue;
        rest += text.substr(copied, start - 4 - copied);
        rest += ' ';
        copied = end;
        at = end - 1;
    }
    return rest += text.substr(copied);
}

// A text with a space for each `[-_.0-9A-Za-z]{1,64}@[-_0-9A-Za-z]{1,255}[-_.0-9A-Za-z]{1,255}`.
std::string without_mail(Text text) {
    std::string rest;
    rest.reserve(text.size());
    std::size_t copied = 0;
    for (std::size_t at = 0; (at = text.find('@', at)) != Text::npos; at++) {
        std::size_t start = at, host = at + 1, end = host;
        while (start > copied && at - start < 64 && in_mail(text[start - 1])) start--;
        while (end < text.size() && end < host + 255 && in_mail(text[end]) && text[end] != '.') end++;
        const bool has_host = end > host;
        for (const std::size_t more = end; end < text.size() && end < more + 255 && in_mail(text[end]);) end++;
        // Where nothing follows the host's first part, that gives its last character to the second.
        if (start == at || !has_host || end == host + 1) continue;
        rest += text.substr(copied, start - copied);
        rest += ' ';
        copied = end;
        at = end - 1;
    }
    return rest += text.substr(copied);
}

} // namespace

// All marks begin with this byte.
std::string LanguageDetector::with_vietnamese(Text text) const {
    std::string composed;
    std::size_t copied = 0;
    for (std::size_t at = 0; (at = text.find('\xCC', at)) != Text::npos;) {
        const Char mark = char_at(text, at);
        const std::size_t by = vietnamese_marks.find(mark.code);
        if (at > copied && by != std::u32string::npos) {
            const Char letter = char_before(text, at);
            const std::size_t which = vietnamese_letters.find(letter.code);
            if (which != std::u32string::npos && letter.size <= at - copied) {
                composed += text.substr(copied, at - letter.size - copied);
                append_char(composed, vietnamese[by][which]);
                copied = at + mark.size;
            }
        }
        at += mark.size;
    }
    return composed += text.substr(copied);
}

// Puts the classes of a run of ASCII into `symbols`, in words of capitals with a mark. The character before the run comes
// first. Returns how many langdetect counts as Latin. No branches: the compiler does it for many at once.
WIDEST unsigned LanguageDetector::read_ascii(Text run, std::uint16_t* symbols) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(run.data());
    unsigned char latin = 0;
    for (std::size_t i = 1; i < run.size(); i++) {
        const auto before = static_cast<unsigned char>(bytes[i - 1] - 'A'), capital = static_cast<unsigned char>(bytes[i] - 'A'),
                   small = static_cast<unsigned char>(bytes[i] - 'a');
        const auto letter = static_cast<unsigned char>(capital < 26 ? FIRST + capital : FIRST + 26 + small);
        const auto found = static_cast<unsigned char>(((capital < 26) | (small < 26)) ? letter : +BLANK);
        const auto in_capitals = static_cast<unsigned char>((before < 26) & (capital < 26));
        symbols[i - 1] = static_cast<std::uint16_t>(found | in_capitals * UPPER);
        latin = static_cast<unsigned char>(latin + (capital < 'z' + 1 - 'A'));
    }
    return latin;
}

struct LanguageDetector::Symbols {
    int count;
    std::uint64_t latin, other; // those that langdetect counts
};

// Puts the classes of a text's characters into `symbols`, in words of capitals with a mark.
template <bool WithoutLatin> LanguageDetector::Symbols LanguageDetector::read_symbols(Text text, std::uint16_t* symbols) const {
    constexpr int LONGEST_RUN = 255, SHORTEST_RUN = 16; // what a byte counts; what is worth it
    const std::uint32_t* const letters = this->letters.data(); // [0x10000]
    std::uint64_t tally = 0;
    std::uint32_t last_upper = 0;
    int count = 0;
    std::size_t at = 0;
    for (int read = 0; read < MOST_CHARACTERS && at < text.size(); read++) {
        std::uint32_t letter;
        if (const auto byte = static_cast<unsigned char>(text[at]); byte < 0x80) {
            if (!WithoutLatin && at > 0) {
                const std::size_t run = ascii_from(text.substr(at, std::min(LONGEST_RUN, MOST_CHARACTERS - read)), 0);
                if (run >= SHORTEST_RUN) {
                    tally += std::uint64_t{LATIN} * read_ascii(text.substr(at - 1, run + 1), symbols + count);
                    symbols[count] |= letters[byte] & last_upper; // of a capital letter outside ASCII
                    count += run;
                    at += run;
                    read += run - 1;
                    last_upper = letters[static_cast<unsigned char>(text[at - 1])] & UPPER;
                    continue;
                }
            }
            letter = letters[byte];
            at++;
        } else {
            const Char found = char_at(text, at);
            at += found.size;
            if (found.code < 0x10000) letter = letters[found.code];
            else letter = is(found.code, c4::UPPER) ? CAPITAL | UPPER | OTHER : SMALL | OTHER;
        }
        if (WithoutLatin && letter & LATIN) continue;
        tally += letter & (LATIN | OTHER);
        symbols[count++] = (letter & CLASS) | (letter & last_upper);
        last_upper = letter & UPPER;
    }
    return {count, tally / LATIN % (OTHER / LATIN), tally / OTHER};
}

// What comes before a character: where n-grams lie that end with it, the bases of the letter before and of the two before.
// With the tables at hand, which a loop would else ask for each time. Indices are bounded: by the number of classes, and by
// the room behind the last base.
struct LanguageDetector::Before {
    const std::uint32_t* bigram_bases;
    const std::uint64_t* bigrams;
    const std::uint32_t* trigrams;
    const std::uint16_t* letter_grams;
    std::uint32_t bigram_base, trigram_base;

    // The n-grams that end with a letter of this class, as `near` has them; it then comes before.
    std::uint64_t take(std::uint32_t number) {
        const std::uint64_t bigram = bigrams[bigram_base + number];
        const std::uint32_t trigram = trigrams[trigram_base + number];
        const bool has_bigram = (bigram & CLASS) == number, has_trigram = (trigram & CLASS) == number;
        bigram_base = bigram_bases[number];
        trigram_base = has_bigram ? static_cast<std::uint32_t>(bigram >> BASE_SHIFT) : 0;
        const std::uint64_t first = letter_grams[number], second = has_bigram ? bigram >> GRAM_SHIFT & 0xFFFF : 0;
        // The last one first: no branches, as those that follow the text cost more.
        std::uint64_t grams = has_trigram ? trigram >> GRAM_SHIFT : 0;
        grams = second ? grams << 16 | second : grams;
        grams = first ? grams << 16 | first : grams;
        const std::uint64_t count = has_trigram + (second != 0u) + (first != 0u);
        return grams | count << 48;
    }
};

LanguageDetector::Before LanguageDetector::before(const std::uint16_t* symbols, int at) const {
    Before before{bigram_bases.data(), bigrams.data(), trigrams.data(), letter_grams.data(), bigram_bases[BLANK], 0};
    for (int i = std::max(0, at - 2); i < at; i++) before.take(symbols[i] & CLASS);
    return before;
}

void LanguageDetector::make_near() {
    near.reserve(NEAR * NEAR * NEAR);
    for (std::uint32_t first = 0; first < NEAR; first++)
        for (std::uint32_t second = 0; second < NEAR; second++)
            for (std::uint32_t third = 0; third < NEAR; third++) {
                const std::uint16_t symbols[] = {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(second)};
                Before two = before(symbols, 2);
                near.push_back(two.take(third));
            }
}

// Puts the n-grams that the profiles know into `grams`, in langdetect's order. Returns how many. There must be room for one
// more: four are written each time, and overwritten where they are fewer.
int LanguageDetector::find_grams(const std::uint16_t* symbols, int length, std::uint16_t* grams) const {
    static_assert(std::endian::native == std::endian::little);
    const std::uint64_t* const near = this->near.data();
    std::size_t count = 0;
    const auto put = [&](std::uint64_t found) {
        std::memcpy(grams + count, &found, sizeof found);
        count += found >> 48;
    };
    for (int i = 0; i < length;) {
        int nears = 0; // in a row
        for (Before before = this->before(symbols, i); i < length && nears < 3; i++) {
            const std::uint64_t found = before.take(symbols[i] & CLASS);
            put(symbols[i] & UPPER ? 0 : found);
            nears = symbols[i] < NEAR ? nears + 1 : 0;
        }
        if (nears < 3) break;
        // The letters before, as many as the key of an n-gram has of them, next to each other as in that.
        std::uint64_t last = symbols[i - 2] << NEAR_BITS | symbols[i - 1];
        const auto put_near = [&](std::uint64_t letters) { put(near[letters & (NEAR * NEAR * NEAR - 1)]); };
        for (std::uint64_t four; i + 4 <= length; i += 4) {
            std::memcpy(&four, symbols + i, sizeof four);
            constexpr std::uint64_t NOT_NEAR = 0xFFFF - (NEAR - 1), PAIR = NEAR * NEAR - 1;
            if (four & NOT_NEAR * 0x1000100010001) break;
            const std::uint64_t pairs = four << NEAR_BITS | four >> 16, first = pairs & PAIR, second = pairs >> 32 & PAIR;
            const std::uint64_t six = last << 4 * NEAR_BITS | first << 2 * NEAR_BITS | second;
            for (int k = 3; k >= 0; k--) put_near(six >> NEAR_BITS * k);
            last = second;
        }
        for (; i < length && symbols[i] < NEAR; i++) {
            last = last << NEAR_BITS | symbols[i];
            put_near(last);
        }
    }
    return count;
}

struct LanguageDetector::Grams {
    std::uint16_t numbers[3 * MOST_CHARACTERS + 1];
    std::uint32_t count;
    bool are_latin; // most of them
};

bool LanguageDetector::read(Text text, Grams& grams) const {
    std::string changed;
    Text seen = text;
    if (Signs signs = signs_in(seen.substr(0, MOST_BYTES)); signs.any()) {
        if (signs.url) seen = changed = without_urls(seen), signs = signs_in(seen.substr(0, MOST_BYTES));
        if (signs.mail) seen = changed = without_mail(seen), signs = signs_in(seen.substr(0, MOST_BYTES));
        if (signs.mark) seen = changed = with_vietnamese(seen);
    }

    std::uint16_t symbols[MOST_CHARACTERS];
    Symbols found = read_symbols<false>(seen, symbols);
    if (found.latin * 2 < found.other) found = read_symbols<true>(seen, symbols); // as langdetect does
    grams.count = static_cast<std::uint32_t>(find_grams(symbols, found.count, grams.numbers));
    grams.are_latin = found.latin >= found.other;
    return grams.count > 0;
}

Features LanguageDetector::features_of(const Grams& grams) const {
    return {.common = common, .script = grams.are_latin ? latin : other, .normals = normals, .rare_places = rare_places.data(),
        .rare = rare.data(), .grams = grams.numbers, .count = grams.count, .most_share = most_share,
        .languages = static_cast<int>(names.size()), .compensated = compensated};
}

namespace {

// To each language's probability.
void add_trial(const Features& features, Random<Shares>& random, double* mean) {
    alignas(64) double trial[COLUMNS];
    run_trial(features, random, trial);
    for (int j = 0; j < features.languages; j++) mean[j] += trial[j] / TRIALS;
}

} // namespace

void LanguageDetector::add_trials(const Grams& grams, double* mean) const {
    const Features features = features_of(grams);
    Random<Shares> random(words, features);
    for (int i = 0; i < TRIALS; i++) add_trial(features, random, mean);
}

LanguageDetector::Answer LanguageDetector::answer_of(const double* mean) const {
    const int best = std::max_element(mean, mean + names.size()) - mean;
    return {mean[best] > LEAST ? best : -1, mean[best]};
}

LanguageDetector::Answer LanguageDetector::detect(Text text) const {
    Grams grams;
    if (!read(text, grams)) return {-1, 0.0};
    double mean[COLUMNS] = {};
    add_trials(grams, mean);
    return answer_of(mean);
}

std::vector<LanguageDetector::Answer> LanguageDetector::likely(Text text) const {
    Grams grams;
    double mean[COLUMNS] = {};
    if (read(text, grams)) add_trials(grams, mean);
    std::vector<Answer> answers;
    for (int i = 0; i < static_cast<int>(names.size()); i++)
        if (mean[i] > LEAST) answers.push_back({i, mean[i]});
    std::stable_sort(answers.begin(), answers.end(), [](auto& a, auto& b) { return a.probability > b.probability; });
    return answers;
}

LanguageVerdict LanguageDetector::judge(Text text, int language, double least) const {
    Grams grams;
    if (!read(text, grams)) return LanguageVerdict::UNKNOWN;
    if (const auto verdict = judge_quickly(grams, language, least)) return *verdict;
    double mean[COLUMNS] = {};
    add_trials(grams, mean);
    return verdict_of(answer_of(mean), language, least);
}

LanguageVerdict LanguageDetector::verdict_of(const Answer& answer, int language, double least) {
    if (answer.language < 0) return LanguageVerdict::UNKNOWN;
    if (answer.probability < least) return LanguageVerdict::UNSURE;
    return answer.language == language ? LanguageVerdict::SAME : LanguageVerdict::OTHER;
}

std::optional<LanguageVerdict> LanguageDetector::judge_quickly(const Grams& grams, int language, double least) const {
    const Features features = features_of(grams);
    Random<ScriptShares> random(words, features);
    alignas(32) double quick[SCRIPT_COLUMNS] = {}; // by column of the script: the part of quick trials in the mean
    double mean[COLUMNS] = {};                     // by language: that of the others, and in the end all
    double error = 0.0;                            // of both together, at most
    int quick_trials = 0;
    for (int i = 0; i < TRIALS; i++) {
        const RandomPlace start = random.place();
        if (const auto trial = add_quick_trial(features, random, 1.0 / TRIALS, quick)) {
            quick_trials++;
            error += trial->error / TRIALS;
            // Whatever the other trials say.
            const double most = trial->best + static_cast<double>(TRIALS - quick_trials) / TRIALS;
            if (trial->best > LEAST + 2 * error && most < least - 2 * error) return LanguageVerdict::UNSURE;
        } else {
            Random<Shares> again(words, features);
            again.go_to(start);
            add_trial(features, again, mean);
            random.go_to(again.place());
        }
    }
    for (std::size_t column = 0; column < features.script.languages.size(); column++) mean[features.script.languages[column]] += quick[column];
    const Answer answer = answer_of(mean);
    const auto near_best = [&](double one) { return std::abs(one - answer.probability) < 2 * error; };
    if (near_best(LEAST) || near_best(least)) return std::nullopt;
    if (answer.probability > least && std::count_if(mean, mean + COLUMNS, near_best) > 1) return std::nullopt;
    return verdict_of(answer, language, least);
}

int LanguageDetector::number(Text name) const {
    const auto found = std::find(names.begin(), names.end(), name);
    return found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

} // namespace c4
