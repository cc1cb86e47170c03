// langdetect's trials: which language the n-grams of a text speak for, some of them drawn at random.
#pragma once

#include <cstdint>
#include <vector>

namespace c4 {

constexpr int MOST_LANGUAGES = 55;
constexpr int COLUMNS = 56; // a whole number of vectors: behind the languages stand zeros

// An n-gram that many languages have is given with its share in all, those that do not have it with none.
constexpr int MANY_LANGUAGES = 8;
constexpr std::uint64_t ALL_LANGUAGES = (1ULL << COLUMNS) - 1;

// The n-grams of a text, by their numbers, and what they say: at the row of each the languages that have it, as bits of a
// double, and how often each of them does. Behind the last one lie `COLUMNS` more.
struct Features {
    const double* weights;
    const std::uint32_t* rows;
    const std::uint16_t* grams;
    std::uint32_t count;
    double most_share; // the largest of these shares
    int languages;
    bool compensated; // whether sums are, as Python's are from 3.12 on
};

// Python's random.Random, from what its generator puts out: normal numbers, and n-grams drawn.
class Random {
public:
    Random(const std::vector<std::uint32_t>& words, const Features& features) : words(words), features(features) {}

    double normal(); // of mean 0 and deviation 1

    // The row of one n-gram.
    const double* draw() {
        if (at == drawn) draw_more();
        next = places[at] + 1;
        return rows[at++];
    }

private:
    [[noreturn]] static void fail();
    void draw_more();
    std::uint32_t word();
    double uniform();

    const std::vector<std::uint32_t>& words;
    const Features& features;
    std::size_t next = 0; // of `words`
    double second = 0.0;  // of a pair of normal numbers
    bool has_second = false;
    // Draws are made some at a time: what is far off in memory is on its way then, and words that are no draws cost no
    // branch. Of each its row, and its place among the words.
    static constexpr std::size_t AT_ONCE = 64;
    const double* rows[AT_ONCE];
    std::size_t places[AT_ONCE];
    std::size_t at = 0, drawn = 0, looked_at = 0; // of `rows`; of `words`
};

// Puts the languages' probabilities by one trial into `probability`, [COLUMNS].
void run_trial(const Features& features, Random& random, double* probability);

// The same of the same draws, to within `TRIAL_ERROR`, in less than half the time: it is not held to the order of langdetect's
// sums, nor to its divisions. Returns false where it cannot tell what langdetect's trial would come to; `random` and
// `probability` are of no use then.
constexpr double TRIAL_ERROR = 1e-11;
bool run_quick_trial(const Features& features, Random& random, double* probability);

} // namespace c4
