// What becomes of a page before deduplication: its row in the page file, and counts. As `PlainPages` in
// c4build/flow/pages.py, which says what is what.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "columns.hpp"
#include "samples.hpp"
#include "steps.hpp"
#include "unicode.hpp"
#include "units.hpp"

namespace c4 {

struct PageFields {
    Text url, body, timestamp, content_type, content_length, record_id, refers_to;
    std::int64_t offset;
};

struct PageRules {
    std::size_t tracks;
    Variants clean, raw, news;
    bool rows_of_dropped, provenance;
    std::uint8_t excluded, not_a_news_domain; // reasons
    // Of normalised URLs; empty where nobody asks.
    std::function<bool(Text)> is_excluded, is_news;
    std::size_t most_held;                     // bytes of a page that may become a sample
    std::size_t most_looked, most_looked_bytes; // see `Looked`
};

// What a page came to.
struct Taken {
    std::string url; // normalised
    std::uint64_t chance;
    std::int64_t row; // in the page file, -1 where it has none
    std::string reasons;
    bool excluded, is_news;
};

class Pages {
public:
    using Counts = std::vector<std::array<std::uint64_t, 256>>; // [tracks]: pages that end here for good, by reason

    Pages(PageRules rules, const Steps& steps, const Units& units);

    // Of a new file, by its path. `samples`: how many pages of each reason are held, 0: none, and none is looked at.
    void begin(Text path, std::size_t samples);
    // Takes a page, with its number in the file.
    Taken take(const PageFields& page, std::uint32_t number);
    const Counts& counts() const { return counts_; }
    const LineCounts& lines() const { return lines_; } // of the file
    Lowest take_lowest(); // of the file's pages, at its end
    const Looked& looked() const { return looked_; }

    // The rows since the last call.
    Columns take_columns();
    std::size_t rows() const { return columns_.rows(); }
    std::size_t bytes() const { return bytes_; } // of their pages as read

private:
    Taken judge(const PageFields& page, std::uint32_t number);
    void hold(const PageFields& page, std::uint32_t number, const Taken& taken);
    void add_texts(const PageFields& page, const PageRow& row, Text normalized, std::optional<Text> text, std::optional<Text> raw);
    void count(Variants variants, Text reasons);

    PageRules rules_;
    const Steps& steps_;
    const Units& units_;
    std::string path_;
    Counts counts_;
    LineCounts lines_;
    Columns columns_;
    std::size_t samples_ = 0;
    Lowest lowest_;
    Looked looked_;
    std::size_t bytes_ = 0;
    std::int64_t rows_before_ = 0; // of the file, that were taken
};

} // namespace c4
