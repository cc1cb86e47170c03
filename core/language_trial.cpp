#include "language_trial.hpp"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
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

// The quick trial knows probabilities up to a common factor, which it takes out every `STEPS_BETWEEN` steps: then the largest
// becomes `START` again. So there are no divisions, and an n-gram of few languages changes those alone. Both kinds of trials
// multiply the same factors; each probability is off by a few roundings a step from what it would be without any,
// langdetect's by some 61 (55 of its sum, 5 of products, 1 of the division), this one's by some 25: in 201 steps by less than
// 2e-12, and `TRIAL_ERROR` is five times that.
//
// That leaves numbers that are too small for langdetect's doubles. A probability below `LOST` may become one in the next
// steps; from there on it may be 0 or wrong with langdetect, while here it has another 180 decades. As long as it stays below
// `BACK` it changes no sum: `STEPS_BETWEEN` steps change it by less than 1e80, see `run_quick_trial`.
constexpr int STEPS_BETWEEN = 4;
constexpr double START = 0x1p600, LOST = 1e-200, BACK = 1e-100;
constexpr double MOST_CHANGE = 9e3; // of one probability beside another, by a draw

constexpr int WIDTH = 4;
using Vector = double __attribute__((vector_size(WIDTH * sizeof(double))));

inline Vector load(const double* from) {
    Vector vector;
    std::memcpy(&vector, from, sizeof vector);
    return vector;
}

inline void store(const Vector& vector, double* to) { std::memcpy(to, &vector, sizeof vector); }

struct Known {
    double total = 0.0, best = 0.0; // of all probabilities
};

// Multiplies all probabilities by the factors of n-grams that many languages have.
inline Known multiply_all(const double* const (&rows)[5], double weight, double* probability) {
    Vector totals[2] = {}, best[2] = {};
    for (int j = 0; j < COLUMNS; j += 2 * WIDTH)
        for (int i = 0; i < 2; i++) {
            const int at = j + i * WIDTH;
            const auto factor = [&](int k) { return load(rows[k] + at) + weight; };
            const Vector found = load(probability + at) * factor(4) * ((factor(0) * factor(1)) * (factor(2) * factor(3)));
            store(found, probability + at);
            totals[i] += found;
            best[i] = found > best[i] ? found : best[i];
        }
    Known known;
    for (int i = 0; i < WIDTH; i++) {
        known.total += totals[0][i] + totals[1][i];
        known.best = std::max({known.best, best[0][i], best[1][i]});
    }
    return known;
}

// The same of an n-gram that few languages have; `part` is 1 / weight.
inline void multiply_few(const double* row, double part, double* probability, Known& known) {
    for (auto rest = std::bit_cast<std::uint64_t>(*row++); rest; rest &= rest - 1) {
        double& one = probability[std::countr_zero(rest)];
        const double found = one * (1.0 + *row++ * part);
        known.total += found - one;
        known.best = std::max(known.best, found);
        one = found;
    }
}

// The languages whose probabilities were too small.
class Lost {
public:
    // Makes the largest probability `START`. Returns false where one that was lost comes back.
    bool scale(double* probability, const Known& known, int languages) {
        const double factor = START / known.best, low = known.total * factor * LOST, high = known.total * factor * BACK;
        Vector are_low{};
        for (int j = 0; j < COLUMNS; j += WIDTH) {
            const Vector found = load(probability + j) * factor;
            store(found, probability + j);
            are_low += found < low ? Vector{1.0, 1.0, 1.0, 1.0} : Vector{};
        }
        any_ |= are_low[0] + are_low[1] + are_low[2] + are_low[3] > COLUMNS - languages; // the columns without one are
        if (!any_) return true;
        bool back = false;
        for (int j = 0; j < languages; j++) {
            back |= lost_[j] && probability[j] > high;
            lost_[j] |= probability[j] < low;
        }
        return !back;
    }

private:
    bool any_ = false, lost_[COLUMNS] = {};
};

inline bool run_quick_steps(const Features& features, Random& random, double weight, double* probability) {
    static constexpr double NONE[COLUMNS] = {};
    const double part = 1.0 / weight;
    Lost lost;
    for (int j = 0; j < COLUMNS; j++) probability[j] = j < features.languages ? START : 0.0;
    for (int step = 0;; step++) {
        const double *rows[5] = {NONE, NONE, NONE, NONE, NONE}, *few[5];
        int of_few = 0;
        for (int k = 0; k < (step ? 5 : 1); k++) {
            const double* row = random.draw();
            if (std::bit_cast<std::uint64_t>(*row) == ALL_LANGUAGES) rows[k] = row + 1;
            else few[of_few++] = row;
        }
        Known known = multiply_all(rows, weight, probability);
        for (int k = 0; k < of_few; k++) multiply_few(few[k], part, probability, known);
        const bool may_stand_out = known.best > known.total * (CONVERGED - TRIAL_ERROR);
        if (may_stand_out && known.best < known.total * (CONVERGED + TRIAL_ERROR)) return false;
        if (may_stand_out || 5 * step + 1 > MOST_DRAWS) {
            for (int j = 0; j < COLUMNS; j++) probability[j] /= known.total;
            return true;
        }
        if (step % STEPS_BETWEEN == 0 && !lost.scale(probability, known, features.languages)) return false;
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

WIDEST bool run_quick(const Features& features, Random& random, double weight, double* probability) {
    return run_quick_steps(features, random, weight, probability);
}

double draw_weight(Random& random) { return (ALPHA + random.normal() * ALPHA_WIDTH) / BASE_FREQUENCY; }

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
    const double weight = draw_weight(random);
    for (int j = 0; j < COLUMNS; j++) probability[j] = j < features.languages ? 1.0 / features.languages : 0.0;
    (features.compensated ? run_compensated : run_plain)(features, random, weight, probability);
}

bool run_quick_trial(const Features& features, Random& random, double* probability) {
    const double weight = draw_weight(random);
    if (features.most_share > weight * (MOST_CHANGE - 1)) return false;
    return run_quick(features, random, weight, probability);
}

} // namespace c4
