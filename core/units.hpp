// What deduplication compares: the lines of a page, or its spans of consecutive sentences. As in c4build/dedup/units.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sentences.hpp"
#include "unicode.hpp"

namespace c4 {

class Units {
public:
    // Spans of `span_sentences`, or with 0 lines.
    Units(std::size_t span_sentences, std::shared_ptr<const Punkt> punkt);

    std::string keys(Text text) const;                                       // 16 bytes a unit
    std::string without(Text text, const std::vector<std::size_t>& lost) const; // lost: sorted indices of units
    std::vector<std::string> at(Text text, const std::vector<std::size_t>& positions) const; // throws std::out_of_range where there are not so many

private:
    std::size_t span_sentences_;
    std::shared_ptr<const Punkt> punkt_;
};

} // namespace c4
