#include "language_trial.hpp"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <stdexcept>

#if FLT_EVAL_METHOD != 0
#error "this compiler keeps more digits than Python does"
#endif

namespace c4 {

namespace {

// Parameters of langdetect's Detector.
constexpr int MOST_DRAWS = 1000;
constexpr double ALPHA = 0.5, ALPHA_WIDTH = 0.05, BASE_FREQUENCY = 10000, CONVERGED = 0.99999;

// The sum of numbers that are not negative, from left to right. Each waits for the one before, which is most of the time
// that a trial takes.
template <bool Compensated> inline double sum(const double* numbers, int count) {
    double total = 0.0, lost = 0.0;
    for (int i = 0; i < count; i++) {
        const double number = numbers[i], next = total + number;
        if (Compensated) lost += (std::max(total, number) - next) + std::min(total, number);
        total = next;
    }
    return total + lost;
}

// How an n-gram changes each language's probability.
inline void read_row(const double* row, double weight, double* factors) {
    const auto languages = std::bit_cast<std::uint64_t>(*row++);
    if (languages == ALL_LANGUAGES) {
        for (int j = 0; j < COLUMNS; j++) factors[j] = weight + row[j];
        return;
    }
    for (int j = 0; j < COLUMNS; j++) factors[j] = weight;
    for (auto rest = languages; rest; rest &= rest - 1) factors[std::countr_zero(rest)] += *row++;
}

template <bool Compensated>
inline void run_steps(const Features& features, Random& random, double weight, double* probability) {
    for (int draws = 1;; draws += 5) {
        // It looks at the probabilities after the first draw and after every fifth from there.
        alignas(64) double factors[5][COLUMNS];
        const int drawn = draws == 1 ? 1 : 5;
        for (int k = 0; k < drawn; k++) read_row(random.draw(), weight, factors[k]);
        if (drawn == 1)
            for (int j = 0; j < COLUMNS; j++) probability[j] *= factors[0][j];
        else
            for (int j = 0; j < COLUMNS; j++)
                probability[j] = probability[j] * factors[0][j] * factors[1][j] * factors[2][j] * factors[3][j] * factors[4][j];
        const double total = sum<Compensated>(probability, features.languages);
        int stands_out = 0;
        for (int j = 0; j < COLUMNS; j++) {
            probability[j] /= total;
            stands_out |= probability[j] > CONVERGED;
        }
        if (stands_out || draws > MOST_DRAWS) return;
    }
}

// Wider vectors where the processor has them: the same operations in the same order, more of them at once.
#if defined __x86_64__ && defined __gnu_linux__ && defined __GNUC__ && !defined __clang__
#define WIDEST __attribute__((target_clones("avx2", "default"), flatten))
#else
#define WIDEST
#endif

WIDEST void run_plain(const Features& features, Random& random, double weight, double* probability) {
    run_steps<false>(features, random, weight, probability);
}

WIDEST void run_compensated(const Features& features, Random& random, double weight, double* probability) {
    run_steps<true>(features, random, weight, probability);
}

} // namespace

void Random::fail() {
    // It cannot be: of seven thousand draws every second one at least is taken.
    throw std::length_error("langdetect's random numbers have come to their end");
}

std::uint32_t Random::word() {
    if (next == words.size()) fail();
    return words[next++];
}

// A draw is a word's first bits, as many as `count` has; the next word's where they make `count` or more.
void Random::draw_more() {
    const int shift = std::countl_zero(features.count);
    at = drawn = 0;
    looked_at = std::max(looked_at, next);
    while (drawn == 0) {
        if (looked_at == words.size()) fail();
        const std::size_t stop = std::min(looked_at + AT_ONCE, words.size());
        std::uint32_t numbers[AT_ONCE];
        for (; looked_at < stop; looked_at++) {
            numbers[drawn] = words[looked_at] >> shift;
            places[drawn] = looked_at;
            drawn += numbers[drawn] < features.count;
        }
        for (std::size_t i = 0; i < drawn; i++) {
            rows[i] = features.weights + features.rows[features.grams[numbers[i]]];
            __builtin_prefetch(rows[i]);
            __builtin_prefetch(rows[i] + 8);
        }
    }
}

double Random::uniform() {
    const std::uint32_t high = word() >> 5, low = word() >> 6;
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
}

double Random::normal() {
    has_second = !has_second;
    if (!has_second) return second;
    const double angle = uniform() * (2.0 * 3.14159265358979323846);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    while (at < drawn && places[at] < next) at++; // draws would have taken these words
    second = std::sin(angle) * radius;
    return std::cos(angle) * radius;
}

void run_trial(const Features& features, Random& random, double* probability) {
    const double weight = (ALPHA + random.normal() * ALPHA_WIDTH) / BASE_FREQUENCY;
    for (int j = 0; j < COLUMNS; j++) probability[j] = j < features.languages ? 1.0 / features.languages : 0.0;
    (features.compensated ? run_compensated : run_plain)(features, random, weight, probability);
}

} // namespace c4
