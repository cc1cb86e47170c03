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

// Python's random.Random, from what its generator puts out.
class Random {
public:
    explicit Random(const std::vector<std::uint32_t>& words) : next(words.data()), end(next + words.size()) {}

    // Less than `count`, which has 32 - `shift` bits.
    std::uint32_t below(std::uint32_t count, int shift) {
        std::uint32_t number;
        do number = word() >> shift;
        while (number >= count);
        return number;
    }
    double normal(); // of mean 0 and deviation 1

private:
    std::uint32_t word() {
        if (next == end) fail();
        return *next++;
    }
    [[noreturn]] static void fail();
    double uniform();

    const std::uint32_t *next, *end;
    double second = 0.0; // of a pair of normal numbers
    bool has_second = false;
};

// The n-grams of a text, by their numbers, and what they say: at the row of each the languages that have it, as bits of a
// double, and how often each of them does. Behind the last one lie `COLUMNS` more.
struct Features {
    const double* weights;
    const std::uint32_t* rows;
    const std::uint16_t* grams;
    std::uint32_t count;
    int languages;
    bool compensated; // whether sums are, as Python's are from 3.12 on
};

// Puts the languages' probabilities by one trial into `probability`, [COLUMNS].
void run_trial(const Features& features, Random& random, double* probability);

} // namespace c4
