// Lines of pages that are samples. As `PlainLineSamples` in c4build/flow/line_samples.py, which says what is what.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "lines.hpp"
#include "unicode.hpp"

namespace c4 {

struct SampledPage {
    std::uint64_t chance;
    Text body;
};

struct SampledLine {
    std::string digest; // the lower, the sooner it is a sample
    std::size_t page, number;
    Text line;
    auto rank() const { return std::tie(digest, page, number); }
};

// [LINE_FATES]: the lines of some pages by fate, of each `most` with the lowest digests, the lowest first; of those that are
// kept only what has just as many words as it must.
std::vector<std::vector<SampledLine>> sampled_lines(
    const LineFilter& filter, std::uint8_t phrases, std::span<const SampledPage> pages, std::size_t most);

} // namespace c4
