#include "language.hpp"

#include <algorithm>

namespace c4 {

namespace {

// Parameters of langdetect's Detector.
constexpr int MOST_CHARACTERS = 10000, TRIALS = 7;
constexpr double LEAST = 0.1;

// No more bytes than these are needed of a text that is not changed before it is cut.
constexpr std::size_t MOST_BYTES = 4 * MOST_CHARACTERS + 100;

bool in_mail(char c) { // [-_.0-9A-Za-z]
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool in_url(char c) { return in_mail(c) || Text("?&~;+=/#").find(c) != Text::npos; } // [-_.?&~;+=/#0-9A-Za-z]

// A text with a space for each `https?://[-_.?&~;+=/#0-9A-Za-z]{1,2076}`.
std::string without_urls(Text text) {
    std::string rest;
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

std::string LanguageDetector::with_vietnamese(Text text) const {
    std::string composed;
    for (std::size_t at = 0; at < text.size();) {
        const Char letter = char_at(text, at);
        at += letter.size;
        const std::size_t which = vietnamese_letters.find(letter.code);
        if (which != std::u32string::npos && at < text.size()) {
            const Char mark = char_at(text, at);
            const std::size_t by = vietnamese_marks.find(mark.code);
            if (by != std::u32string::npos) {
                at += mark.size;
                append_char(composed, vietnamese[by][which]);
                continue;
            }
        }
        composed += text.substr(at - letter.size, letter.size);
    }
    return composed;
}

// Puts the classes of a text's characters into `symbols`, in words of capitals with a mark. Returns how many they are; or
// -1, if the text is of so few Latin letters that langdetect leaves them out.
template <bool WithoutLatin> int LanguageDetector::read_symbols(Text text, std::uint16_t* symbols) const {
    const std::uint32_t* const letters = this->letters.data(); // [0x10000]
    std::uint64_t tally = 0;
    std::uint32_t last_upper = 0, in_capitals = 0;
    int count = 0;
    std::size_t at = 0;
    for (int read = 0; read < MOST_CHARACTERS && at < text.size(); read++) {
        std::uint32_t letter;
        if (const auto byte = static_cast<unsigned char>(text[at]); byte < 0x80) {
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
        in_capitals = letter & UPPER & (in_capitals | last_upper);
        last_upper = letter;
        symbols[count++] = (letter & CLASS) | in_capitals;
    }
    return !WithoutLatin && (tally / LATIN % (OTHER / LATIN)) * 2 < tally / OTHER ? -1 : count;
}

// Puts the n-grams that the profiles know into `grams`, in langdetect's order. Returns how many. Each is written, and
// overwritten if it is not to be kept: branches that follow the text cost more.
int LanguageDetector::find_grams(const std::uint16_t* symbols, int length, std::uint16_t* grams) const {
    // Indices are bounded: by the number of classes, and by the room behind the last base.
    const std::uint32_t* const bigram_bases = this->bigram_bases.data();
    const std::uint64_t* const bigrams = this->bigrams.data();
    const std::uint32_t* const trigrams = this->trigrams.data();
    std::uint32_t bigram_base = bigram_bases[BLANK], trigram_base = 0;
    std::size_t count = 0;
    for (int i = 0; i < length; i++) {
        const std::uint32_t number = symbols[i] & CLASS, is_kept = !(symbols[i] & UPPER);
        const std::uint64_t bigram = bigrams[bigram_base + number];
        const std::uint32_t trigram = trigrams[trigram_base + number];
        // All bits where they are those that were looked for.
        const std::uint32_t has_bigram = -static_cast<std::uint32_t>((bigram & CLASS) == number);
        const std::uint32_t has_trigram = -static_cast<std::uint32_t>((trigram & CLASS) == number);
        bigram_base = bigram_bases[number];
        trigram_base = static_cast<std::uint32_t>(bigram >> BASE_SHIFT) & has_bigram;
        const std::uint32_t second = static_cast<std::uint32_t>(bigram >> GRAM_SHIFT) & 0xFFFF & has_bigram;
        grams[count] = number;
        count += is_kept & (number >= FIRST);
        grams[count] = second;
        count += is_kept & (second != 0);
        grams[count] = trigram >> GRAM_SHIFT;
        count += is_kept & has_trigram;
    }
    return count;
}

bool LanguageDetector::judge(Text text, double* mean) const {
    std::string changed;
    Text seen = text.substr(0, MOST_BYTES);
    if (seen.find("://") != Text::npos) seen = changed = without_urls(text);
    else seen = text;
    if (seen.substr(0, MOST_BYTES).find('@') != Text::npos) seen = changed = without_mail(seen);
    if (seen.substr(0, MOST_BYTES).find('\xCC') != Text::npos) seen = changed = with_vietnamese(seen);

    std::uint16_t symbols[MOST_CHARACTERS], grams[3 * MOST_CHARACTERS];
    int length = read_symbols<false>(seen, symbols);
    if (length < 0) length = read_symbols<true>(seen, symbols);
    const int count = find_grams(symbols, length, grams);
    if (count == 0) return false;
    const int languages = names.size();
    const Features features{weights.data(), rows.data(), grams, static_cast<std::uint32_t>(count), languages, compensated};
    Random random(words);
    double trial[COLUMNS];
    for (int i = 0; i < TRIALS; i++) {
        run_trial(features, random, trial);
        for (int j = 0; j < languages; j++) mean[j] += trial[j] / TRIALS;
    }
    return true;
}

LanguageDetector::Answer LanguageDetector::detect(Text text) const {
    double mean[COLUMNS] = {};
    if (!judge(text, mean)) return {-1, 0.0};
    const int best = std::max_element(mean, mean + names.size()) - mean;
    return {mean[best] > LEAST ? best : -1, mean[best]};
}

std::vector<LanguageDetector::Answer> LanguageDetector::likely(Text text) const {
    double mean[COLUMNS] = {};
    judge(text, mean);
    std::vector<Answer> answers;
    for (int i = 0; i < static_cast<int>(names.size()); i++)
        if (mean[i] > LEAST) answers.push_back({i, mean[i]});
    std::stable_sort(answers.begin(), answers.end(), [](auto& a, auto& b) { return a.probability > b.probability; });
    return answers;
}

} // namespace c4
