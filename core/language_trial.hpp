// langdetect's trials: which language the n-grams of a text speak for, some of them drawn at random.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace c4 {

constexpr int MOST_LANGUAGES = 55;
constexpr int COLUMNS = 56; // a whole number of vectors: behind the languages stand zeros

// How often each language has an n-gram; zeros behind.
template <class Number> struct alignas(32) Shares {
    Number of[COLUMNS];
};

// The n-grams of a text, by their numbers, and what they say.
struct Features {
    // By number, of n-grams that many languages have, which come first.
    std::span<const Shares<double>> common;
    std::span<const Shares<float>> rounded; // the same
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

// Python's random.Random, from what its generator puts out: normal numbers, and n-grams drawn.
template <class Number> class Random {
public:
    Random(const std::vector<std::uint32_t>& words, const Features& features) : words(words), features(features) {}

    double normal(); // of mean 0 and deviation 1

    // The shares of the next `count` n-grams, no more than `MOST`. They last until the next call.
    static constexpr std::size_t MOST = 5;
    const Number* const* draw(std::size_t count) {
        if (drawn - at < count) draw_more(count);
        at += count;
        next = places[at - 1] + 1;
        return shares + at - count;
    }

private:
    [[noreturn]] static void fail();
    void draw_more(std::size_t count);
    const Number* spread_out(std::size_t which); // of those that few languages have
    std::uint32_t word();
    double uniform();

    const std::vector<std::uint32_t>& words;
    const Features& features;
    std::size_t next = 0; // of `words`
    double second = 0.0;  // of a pair of normal numbers
    bool has_second = false;
    // Draws are made some at a time: what is far off in memory is on its way then, and words that are no draws cost no
    // branch. Of each its shares, and its place among the words.
    static constexpr std::size_t AT_ONCE = 64;
    const Number* shares[MOST + AT_ONCE];
    std::size_t places[MOST + AT_ONCE];
    std::size_t at = 0, drawn = 0, looked_at = 0; // of these; of `words`
    Shares<Number> spread[MOST + AT_ONCE]; // of n-grams that few languages have: the latest
    std::size_t spread_next = 0;
};

// Puts the languages' probabilities by one trial into `probability`, [COLUMNS].
void run_trial(const Features& features, Random<double>& random, double* probability);

// The same of the same draws in a fraction of the time: it is not held to the order of langdetect's sums, nor to its divisions,
// and takes rounded shares. Adds `part` of each probability to `mean`, [COLUMNS]. Returns nothing where it cannot tell what
// langdetect's trial would come to; `random` is of no use then.
struct QuickTrial {
    double error; // of a probability, at most
    double best;  // of `mean`, the largest
};
std::optional<QuickTrial> add_quick_trial(const Features& features, Random<float>& random, double part, double* mean);

} // namespace c4
