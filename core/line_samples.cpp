#include "line_samples.hpp"

#include <algorithm>

#include "hashes.hpp"

namespace c4 {

namespace {

bool is_lower(const SampledLine& a, const SampledLine& b) { return a.rank() < b.rank(); }

// Adds a line to the `most` lowest, of which the highest is the first.
void add(std::vector<SampledLine>& lowest, SampledLine line, std::size_t most) {
    if (lowest.size() >= most) {
        if (lowest.empty() || !is_lower(line, lowest.front())) return;
        std::pop_heap(lowest.begin(), lowest.end(), is_lower);
        lowest.pop_back();
    }
    lowest.push_back(std::move(line));
    std::push_heap(lowest.begin(), lowest.end(), is_lower);
}

} // namespace

std::vector<std::vector<SampledLine>> sampled_lines(
    const LineFilter& filter, std::uint8_t phrases, std::span<const SampledPage> pages, std::size_t most) {
    std::vector<std::vector<SampledLine>> found(LINE_FATES);
    std::string holder;
    for (std::size_t page = 0; page < pages.size(); page++) {
        const std::string chance = std::to_string(pages[page].chance) + ' ';
        std::size_t number = 0;
        for (const Text line : splitlines(pages[page].body)) {
            if (line.empty()) continue;
            Text left = line;
            const LineFate fate = filter.fate_of(left, phrases, holder);
            if (fate != LineFate::KEPT || !has_words(left, filter.least_words() + 1)) {
                std::string digest;
                append_hash(digest, murmur3(chance + std::to_string(number)));
                add(found[static_cast<std::size_t>(fate)], {std::move(digest), page, number, line}, most);
            }
            number++;
        }
    }
    for (std::vector<SampledLine>& lowest : found) std::sort_heap(lowest.begin(), lowest.end(), is_lower);
    return found;
}

} // namespace c4
