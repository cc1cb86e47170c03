#include "language_trial.hpp"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "widest.hpp"

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

template <bool Compensated>
inline void run_steps(const Features& features, Random<Shares>& random, double weight, double* probability) {
    for (int draws = 1;; draws += 5) {
        // It looks at the probabilities after the first draw and after every fifth from there.
        const int drawn = draws == 1 ? 1 : 5;
        const double* const* shares = random.draw(drawn);
        for (int k = 0; k < drawn; k++)
            for (int j = 0; j < COLUMNS; j++) probability[j] *= weight + shares[k][j];
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
// becomes `START` again. So there are no divisions. The five factors of a step and their product are floats: each factor is off
// by two roundings at most (of its share and the weight, of their sum), the product by four more. The roundings of doubles,
// langdetect's own too, are nothing beside these: a step more in the account is for them.
//
// That leaves numbers that are too small for langdetect's doubles. A probability below `LOST` may become one in the next
// steps; from there on it may be 0 or wrong with langdetect, while here it has another 180 decades. As long as it stays below
// `BACK` it changes no sum by as much as a rounding: `STEPS_BETWEEN` steps change it by less than 1e87, see `add_quick_trial`.
constexpr int STEPS_BETWEEN = 4;
constexpr double STEP_ERROR = 14 * 0x1p-24;
constexpr double START = 0x1p600, LOST = 1e-190, BACK = 1e-100;
constexpr double MOST_CHANGE = 2e4; // of one probability beside another, by a draw

constexpr int WIDTH = 4;
using Vector = double __attribute__((vector_size(WIDTH * sizeof(double))));

inline Vector load(const double* from) {
    Vector vector;
    std::memcpy(&vector, std::assume_aligned<32>(from), sizeof vector);
    return vector;
}

inline void store(const Vector& vector, double* to) { std::memcpy(std::assume_aligned<32>(to), &vector, sizeof vector); }

inline double sum(const Vector& all) { return (all[0] + all[2]) + (all[1] + all[3]); }
inline Vector larger(const Vector& some, const Vector& others) { return some > others ? some : others; }
inline double largest(const Vector& all) { return std::max(std::max(all[0], all[2]), std::max(all[1], all[3])); }

// Of the languages of the script.
struct Known {
    double total, best; // of all probabilities
};

// A vector behind which the column of the rest lies, without that.
inline Vector without_rest(Vector last) {
    last[WIDTH - 1] = 0;
    return last;
}

inline Known multiply(const float* factors, double* probability) {
    for (int j = 0; j < SCRIPT_COLUMNS; j++) probability[j] *= factors[j];
    Vector totals = without_rest(load(probability + SCRIPT_COLUMNS - WIDTH)), best = totals;
    for (int j = 0; j < SCRIPT_COLUMNS - WIDTH; j += WIDTH) {
        const Vector found = load(probability + j);
        totals += found;
        best = larger(found, best);
    }
    return {sum(totals), largest(best)};
}

// The languages whose probabilities were too small.
class Lost {
public:
    explicit Lost(const Script& script) : unused_(REST - static_cast<int>(script.languages.size())) {}

    // Makes the largest probability `START`. `rest` is what the languages of other scripts come to at most. Returns
    // false where one that was lost comes back.
    bool scale(double* probability, const Known& known, double rest) {
        const double factor = START / known.best, low = (known.total + rest) * factor * LOST, high = known.total * factor * BACK;
        Vector are_low{};
        for (int j = 0; j < SCRIPT_COLUMNS; j += WIDTH) {
            const Vector found = load(probability + j) * factor;
            store(found, probability + j);
            are_low += found < low ? Vector{1.0, 1.0, 1.0, 1.0} : Vector{};
        }
        any_ |= sum(are_low) > unused_;
        if (!any_) return true;
        bool back = false;
        for (int j = 0; j < SCRIPT_COLUMNS; j++) {
            back |= lost_[j] && probability[j] > high;
            lost_[j] |= probability[j] < low;
        }
        return !back;
    }

private:
    int unused_; // columns: always low
    bool any_ = false, lost_[SCRIPT_COLUMNS] = {};
};

inline std::optional<QuickTrial> add_quick_steps(
    const Features& features, Random<ScriptShares>& random, double exact_weight, double part, double* mean) {
    constexpr double ODDS = (1 - CONVERGED) / CONVERGED; // of all others to the one that stands out
    const auto weight = static_cast<float>(exact_weight);
    const Script& script = features.script;
    const int languages = static_cast<int>(script.languages.size());
    Lost lost(script);
    alignas(32) double probability[SCRIPT_COLUMNS];
    alignas(32) float factors[SCRIPT_COLUMNS];
    for (int j = 0; j < SCRIPT_COLUMNS; j++) probability[j] = j < languages || j == REST ? START : 0.0;
    const float* first = *random.draw(1);
    for (int j = 0; j < SCRIPT_COLUMNS; j++) factors[j] = first[j] + weight;
    for (int step = 0;; step++) {
        const Known known = multiply(factors, probability);
        const double others = known.total - known.best, enough = known.best * ODDS, rest = probability[REST] * script.rest;
        const double error = 2 * (step + 2) * STEP_ERROR; // of one probability beside another
        const bool none_stands_out = others > enough + enough * error && known.total > 2 * ODDS * probability[REST];
        if (!none_stands_out || 5 * step + 1 > MOST_DRAWS) {
            if (!none_stands_out && others + rest > enough - enough * error) return std::nullopt;
            const double scale = part / known.total;
            Vector best{};
            for (int j = 0; j < SCRIPT_COLUMNS; j += WIDTH) {
                const Vector found = load(mean + j) + load(probability + j) * scale;
                store(found, mean + j);
                best = larger(j + WIDTH < SCRIPT_COLUMNS ? found : without_rest(found), best);
            }
            return QuickTrial{error + rest / known.total, largest(best)};
        }
        if (step % STEPS_BETWEEN == 0 && !lost.scale(probability, known, rest)) return std::nullopt;
        const float* const* shares = random.draw(5);
        for (int j = 0; j < SCRIPT_COLUMNS; j++) {
            const auto factor = [&](int k) { return shares[k][j] + weight; };
            factors[j] = (factor(0) * factor(1)) * (factor(2) * factor(3)) * factor(4);
        }
    }
}

WIDEST void run_plain(const Features& features, Random<Shares>& random, double weight, double* probability) {
    run_steps<false>(features, random, weight, probability);
}

WIDEST void run_compensated(const Features& features, Random<Shares>& random, double weight, double* probability) {
    run_steps<true>(features, random, weight, probability);
}

WIDEST std::optional<QuickTrial> add_quick(
    const Features& features, Random<ScriptShares>& random, double weight, double part, double* mean) {
    return add_quick_steps(features, random, weight, part, mean);
}

template <class Row> double draw_weight(Random<Row>& random) { return (ALPHA + random.normal() * ALPHA_WIDTH) / BASE_FREQUENCY; }

template <class Row> std::span<const Row> common_of(const Features& features) {
    if constexpr (std::is_same_v<Row, ScriptShares>) return features.script.shares;
    else return features.common;
}

} // namespace

Normals normals_of(const std::uint32_t* words) {
    const auto uniform = [](std::uint32_t high, std::uint32_t low) {
        return ((high >> 5) * 67108864.0 + (low >> 6)) * (1.0 / 9007199254740992.0);
    };
    const double angle = uniform(words[0], words[1]) * (2.0 * 3.14159265358979323846);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform(words[2], words[3])));
    return {std::cos(angle) * radius, std::sin(angle) * radius};
}

template <class Row> void Random<Row>::fail() {
    // It cannot be: of seven thousand draws every second one at least is taken.
    throw std::length_error("langdetect's random numbers have come to their end");
}

// A draw is a word's first bits, as many as `count` has; the next word's where they make `count` or more.
template <class Row> void Random<Row>::draw_more(std::size_t count) {
    std::copy(shares + at, shares + drawn, shares);
    std::copy(places + at, places + drawn, places);
    drawn -= std::exchange(at, 0);
    const std::uint32_t range = features.count;
    const int shift = std::countl_zero(range);
    const std::span<const Row> common = common_of<Row>(features);
    looked_at = std::max(looked_at, here.next);
    while (drawn < count) {
        if (looked_at == words.size()) fail();
        const std::uint32_t* const some = words.data() + looked_at;
        const std::size_t size = std::min(AT_ONCE, words.size() - looked_at);
        std::uint64_t taken = 0; // a bit for each
        for (std::size_t i = 0; i < size; i++) taken |= std::uint64_t{some[i] >> shift < range} << i;
        for (; taken; taken &= taken - 1) {
            const std::size_t i = std::countr_zero(taken), gram = features.grams[some[i] >> shift];
            const Number* row = gram < common.size() ? common.data()[gram].of : spread_out(gram - common.size());
            __builtin_prefetch(row);
            __builtin_prefetch(row + 64 / sizeof *row);
            shares[drawn] = row;
            places[drawn++] = looked_at + i;
        }
        looked_at += size;
    }
}

template <class Row> auto Random<Row>::spread_out(std::size_t which) -> const Number* {
    static constexpr Row NONE{};
    Number* all = (spread[spread_next++ % std::size(spread)] = NONE).of;
    const double* rare = features.rare + features.rare_places[which];
    for (auto rest = std::bit_cast<std::uint64_t>(*rare++); rest; rest &= rest - 1) {
        const int language = std::countr_zero(rest);
        if constexpr (std::is_same_v<Row, ScriptShares>) {
            Number& share = all[features.script.columns[language]];
            share = std::max(share, static_cast<Number>(*rare++));
        } else {
            all[language] = *rare++;
        }
    }
    return all;
}

template <class Row> double Random<Row>::normal() {
    here.has_second = !here.has_second;
    if (!here.has_second) return here.second;
    if (here.next + WORDS_OF_NORMALS > words.size()) fail();
    const auto [first, second] = here.next < features.normals.size() ? features.normals[here.next] : normals_of(words.data() + here.next);
    here.next += WORDS_OF_NORMALS;
    while (at < drawn && places[at] < here.next) at++; // draws would have taken these words
    here.second = second;
    return first;
}

void run_trial(const Features& features, Random<Shares>& random, double* probability) {
    const double weight = draw_weight(random);
    for (int j = 0; j < COLUMNS; j++) probability[j] = j < features.languages ? 1.0 / features.languages : 0.0;
    (features.compensated ? run_compensated : run_plain)(features, random, weight, probability);
}

std::optional<QuickTrial> add_quick_trial(const Features& features, Random<ScriptShares>& random, double part, double* mean) {
    const double weight = draw_weight(random);
    if (features.most_share > weight * (MOST_CHANGE - 1)) return std::nullopt;
    return add_quick(features, random, weight, part, mean);
}

} // namespace c4
