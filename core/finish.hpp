// What becomes of the pages of a row group behind deduplication, and the examples that come of them. As in
// c4build/flow/outcomes.py, which says what is what.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "samples.hpp"
#include "steps.hpp"
#include "unicode.hpp"
#include "units.hpp"

namespace c4 {

// Pages with what they lost. All spans but the last two are by page.
struct Surviving {
    std::span<const Text> texts, raws;          // as cleaned, and as read
    std::span<const Variants> running;          // variants that they are still in
    std::span<const std::uint32_t> keys;        // how many lines or spans they have
    std::span<const std::uint32_t> positions;   // of those that were lost, counted from the first of all; sorted
    std::span<const Variants> lost;             // the variants that lost each of these
};

// One for each text of a page, in order: texts are those of `Surviving`, or have lost something and lie in `remade`.
struct Outcomes {
    std::vector<std::uint32_t> rows;
    std::vector<Text> texts;
    std::vector<Variants> before, kept;
    std::vector<std::uint8_t> reasons;          // [outcomes, variants]
    std::vector<std::uint64_t> removed;         // [variants]
    std::deque<std::string> remade;
};

// Throws std::invalid_argument where the spans do not go together.
Outcomes outcomes_of(const Steps& steps, const Units& units, const Surviving& pages, Variants raw, std::size_t variants);

// Variants that lost each of some pages since these were cleaned, all for one reason.
struct Loss {
    std::span<const Variants> variants;
    std::uint8_t reason;
};

// What is known of the pages of a row group besides, by page.
struct Described {
    std::int64_t file;
    std::span<const std::uint64_t> chances;
    std::span<const std::uint32_t> numbers;
    std::span<const Text> urls, timestamps;
    std::span<const std::uint8_t> cleaned;      // 0 where there is only the text as read
    std::span<const Loss> losses;
    unsigned halvings; // of the limit of chances below which pages are looked at
};

// Of the pages that are looked at.
struct LookedInto {
    struct Repeat {
        std::string text;
        Variants variants;
    };
    std::vector<std::size_t> kept; // outcomes
    std::vector<Repeat> repeats;   // lines or spans that variants lost
};

// Takes into `lowest` what becomes of the pages, and of the lines or spans that each lost one. Throws std::invalid_argument
// where the spans do not go together.
LookedInto take_samples(Lowest& lowest, const Units& units, const Surviving& pages, const Outcomes& outcomes, const Described& of);

// An example that some variants keep, as it stands among others in a file of frames.
struct Frame {
    std::size_t outcome, size;
    Variants kept;
};

// The examples of a row group that any of `variants` keeps, framed one behind the other, but for pages that are left out:
// made once, for most are kept by many. An example has the text first, then of each column the page's value.
class Framer {
public:
    // `names` are those of the text and of all columns; `left_out` is by page. All must stay as long as this does. Throws
    // std::invalid_argument where they do not go together.
    Framer(
        const Outcomes& outcomes, Variants variants, std::span<const Text> names, std::span<const std::vector<Text>> columns,
        std::span<const std::uint8_t> left_out);

    std::vector<Frame> frames;
    std::size_t bytes = 0;      // of all of them
    void write(char* to) const; // where there is room for so many

private:
    void take(std::size_t outcome, std::vector<Text>& values) const; // of an example

    const Outcomes& outcomes_;
    std::span<const Text> names_;
    std::span<const std::vector<Text>> columns_;
};

// The frames of one variant.
struct Part {
    std::size_t bytes, examples;
};
Part part_of(std::span<const Frame> frames, std::size_t variant);
void copy_part(std::span<const Frame> frames, std::size_t variant, const char* all, char* to); // to room for the part

} // namespace c4
