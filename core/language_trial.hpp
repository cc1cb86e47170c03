// langdetect's trials: which language the n-grams of a text speak for, some of them drawn at random.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace c4 {

constexpr int MOST_LANGUAGES = 55;

// How often each language has an n-gram; zeros behind. A whole number of vectors.
template <class NumberOfIt, int Size> struct alignas(64) Row {
    using Number = NumberOfIt;
    Number of[Size];
};
constexpr int COLUMNS = 56;
using Shares = Row<double, COLUMNS>;

// The same for quick trials, of which each asks the languages of one script alone. All others are one in the last column, that
// has each n-gram as often as the one of them that has it most: none of them is more likely than that.
constexpr int SCRIPT_COLUMNS = 32, REST = SCRIPT_COLUMNS - 1;
using ScriptShares = Row<float, SCRIPT_COLUMNS>;

struct Script {
    std::vector<int> languages;           // by column
    std::vector<std::uint8_t> columns;    // by language
    int rest = 0;                         // languages of other scripts
    std::vector<ScriptShares> shares;     // of n-grams, as `Features::common`
};

// A pair of normal numbers of mean 0 and deviation 1, as Python's random.Random makes one of four words.
struct Normals {
    double first, second;
};
constexpr std::size_t WORDS_OF_NORMALS = 4;
Normals normals_of(const std::uint32_t* words);

// The n-grams of a text, by their numbers, and what they say.
struct Features {
    // By number, of n-grams that many languages have, which come first.
    std::span<const Shares> common;
    const Script& script; // of the text
    std::span<const Normals> normals; // of the words from each on, the first of them
    // Of each of the others: where in `rare` the languages stand that have it, as bits of a double, and behind them how often
    // each of them does.
    const std::uint32_t* rare_places;
    const double* rare;
    const std::uint16_t* grams;
    std::uint32_t count;
    double most_share; // the largest of these shares
    int languages;
    bool compensated; // whether sums are, as Python's are from 3.12 on
};

// How far random numbers are: what follows is the same from there.
struct RandomPlace {
    std::size_t next = 0; // of their generator's words
    double second = 0.0;  // of a pair of normal numbers
    bool has_second = false;
};

// Python's random.Random, from what its generator puts out: normal numbers, and n-grams drawn.
template <class Row> class Random {
public:
    using Number = typename Row::Number;

    Random(const std::vector<std::uint32_t>& words, const Features& features) : words(words), features(features) {}

    const RandomPlace& place() const { return here; }
    void go_to(const RandomPlace& there) {
        here = there;
        at = drawn = 0;
        looked_at = here.next;
    }

    double normal(); // of mean 0 and deviation 1

    // The shares of the next `count` n-grams, no more than `MOST`. They last until the next call.
    static constexpr std::size_t MOST = 5;
    const Number* const* draw(std::size_t count) {
        if (drawn - at < count) draw_more(count);
        at += count;
        here.next = places[at - 1] + 1;
        return shares + at - count;
    }

private:
    [[noreturn]] static void fail();
    void draw_more(std::size_t count);
    const Number* spread_out(std::size_t which); // of those that few languages have

    const std::vector<std::uint32_t>& words;
    const Features& features;
    RandomPlace here;
    // Draws are made some at a time: what is far off in memory is on its way then, and words that are no draws cost no
    // branch. Of each its shares, and its place among the words.
    static constexpr std::size_t AT_ONCE = 64;
    const Number* shares[MOST + AT_ONCE];
    std::size_t places[MOST + AT_ONCE];
    std::size_t at = 0, drawn = 0, looked_at = 0; // of these; of `words`
    Row spread[MOST + AT_ONCE]; // of n-grams that few languages have: the latest
    std::size_t spread_next = 0;
};

// Puts the languages' probabilities by one trial into `probability`, [COLUMNS].
void run_trial(const Features& features, Random<Shares>& random, double* probability);

// The same of the same draws in a fraction of the time: it is not held to the order of langdetect's sums, nor to its divisions,
// takes rounded shares, and knows languages of other scripts by a bound. Adds `part` of each probability to `mean`,
// [SCRIPT_COLUMNS]. Returns nothing where it cannot tell what
// langdetect's trial would come to; `random` is somewhere then.
struct QuickTrial {
    double error; // of a probability, at most; a language of another script has less
    double best;  // of `mean`, the largest
};
std::optional<QuickTrial> add_quick_trial(const Features& features, Random<ScriptShares>& random, double part, double* mean);

} // namespace c4
