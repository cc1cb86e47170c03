// What langdetect 1.0.9 answers to a text, bit for bit.
//
// Every sum, product and quotient is of the same numbers in the same order as langdetect's, so this is compiled without
// -ffast-math and with -ffp-contract=off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "language_trial.hpp"
#include "unicode.hpp"

namespace c4 {

// What langdetect is made of: its profiles, and the characters that it takes for others. Texts are UTF-8.
struct LanguageRules {
    std::vector<Text> profiles;    // JSON, in the order in which langdetect loads them
    Text latin1_spaces;            // characters of Latin-1 that are taken for a space
    std::vector<Text> kanji;       // characters that are taken for the first of them
    Text vietnamese_letters;       // with
    Text vietnamese_marks;         // a mark behind becomes
    std::vector<Text> vietnamese;  // one letter: of each mark, the letters in their order
    std::vector<std::uint32_t> words; // what Python's random numbers are made of
    bool compensated;              // whether Python's sum() makes up for lost bits, as it does from 3.12 on
};

// What a rule asks of a text: whether it is of a language.
enum class LanguageVerdict : std::uint8_t { SAME, OTHER, UNSURE, UNKNOWN };

class LanguageDetector {
public:
    // Raises std::invalid_argument for other profiles than langdetect's.
    explicit LanguageDetector(const LanguageRules& rules);

    struct Answer {
        int language; // its number; less than 0 where the text has no letters to go by
        double probability;
    };
    Answer detect(Text text) const;
    // Whether `detect` gives the language of this number, -1: none of them, with a probability of `least` or more; UNSURE: gives
    // one with less, UNKNOWN: gives none. It takes less time.
    LanguageVerdict judge(Text text, int language, double least) const;
    std::vector<Answer> likely(Text text) const; // all that langdetect finds likely, the likeliest first

    const std::string& name(int language) const { return names[language]; }
    int number(Text name) const; // -1 where it is none of langdetect's languages
    std::uint32_t normalized(std::uint32_t code) const; // langdetect's NGram.normalize

private:
    // A character's letter is its class and these. What langdetect takes for the same letter is one class.
    // LATIN and OTHER are what its `cleaning_text` counts; so far apart that a text's characters can be added up.
    static constexpr std::uint32_t CLASS = 0x7FF, UPPER = 1 << 11, LATIN = 1 << 12, OTHER = 1 << 28;
    enum : std::uint32_t { BLANK, SMALL, CAPITAL, FIRST, NO_CLASS = CLASS }; // SMALL, CAPITAL: letters of no profile

    // N-grams are numbered: from 1 on those that many languages have, then the others. Bigrams and trigrams lie in one array
    // each, at the base of what comes before plus the class of the last letter. A cell is that class; the n-gram, or 0, shifted;
    // and the base of the trigrams that begin with a bigram, shifted. No two bases are alike: a cell of this class is of this
    // base. None is 0, which is that of what begins no n-gram.
    static constexpr int GRAM_SHIFT = 11, BASE_SHIFT = 27;

    // What is spelt with letters of ASCII, or other near ones, has its n-grams in one table, [NEAR][NEAR][NEAR] by the classes
    // of a character and of the two before it: those that end there, 16 bits each, and above them how many they are.
    static constexpr int NEAR_BITS = 6;
    static constexpr std::uint32_t NEAR = 1 << NEAR_BITS, ASCII_LETTERS = 52; // A to Z, a to z: the first classes

    struct Gram;
    void make_normal(const LanguageRules& rules);
    void make_letters(const std::vector<std::uint32_t>& known);
    void make_grams(const std::vector<Gram>& grams);
    void make_script(const std::vector<bool>& are_of_it, Script& script) const; // by language
    void make_near();
    struct Grams;
    bool read(Text text, Grams& grams) const; // false without letters to go by
    Features features_of(const Grams& grams) const;
    void add_trials(const Grams& grams, double* mean) const; // to each language's probability
    Answer answer_of(const double* mean) const;
    static LanguageVerdict verdict_of(const Answer& answer, int language, double least);
    std::optional<LanguageVerdict> judge_quickly(const Grams& grams, int language, double least) const; // nothing where it cannot tell
    std::string with_vietnamese(Text text) const;
    static unsigned read_ascii(Text run, std::uint16_t* symbols);
    struct Symbols;
    template <bool WithoutLatin> Symbols read_symbols(Text text, std::uint16_t* symbols) const;
    struct Before;
    Before before(const std::uint16_t* symbols, int at) const;
    int find_grams(const std::uint16_t* symbols, int length, std::uint16_t* grams) const;

    std::vector<std::string> names;
    std::vector<std::uint32_t> normal;   // [0x10000]
    std::vector<std::uint32_t> letters;  // [0x10000]
    std::vector<std::uint32_t> bigram_bases; // [classes]
    std::vector<std::uint64_t> bigrams;
    std::vector<std::uint32_t> trigrams;
    std::vector<std::uint64_t> near;
    std::vector<std::uint16_t> letter_grams; // [classes]: the n-gram that a letter is alone
    std::vector<Shares> common;          // these as `Features` has them
    Script latin, other;                 // languages that are written in Latin letters, and those that are not
    std::vector<std::uint32_t> rare_places;
    std::vector<double> rare;
    double most_share = 0.0;             // of all weights
    std::vector<std::uint32_t> words;
    std::vector<Normals> normals;
    std::u32string vietnamese_letters, vietnamese_marks;
    std::vector<std::u32string> vietnamese;
    bool compensated;
};

} // namespace c4
