// Pages that may become samples, and those that are looked at. As `PlainLowest` in c4build/flow/candidates.py and `Looked` in
// c4build/flow/figures.py, which say what is what.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "texts.hpp"
#include "unicode.hpp"

namespace c4 {

// Which page it is: the lower, the sooner it is a sample.
struct Rank {
    std::uint64_t chance;
    std::int64_t file, number;
    auto operator<=>(const Rank&) const = default;
};

enum Stage : std::uint8_t { AS_READ, CLEANED, KEPT, REPEATED };                      // what a body is
enum Group : std::uint8_t { NO_GROUP = 255, READ_GROUP = 254, REPEATED_GROUP = 251 }; // besides reasons

struct Candidate {
    Rank rank;
    std::int64_t row;
    Text groups; // of each track or variant
    Stage stage;
    Text url, timestamp, body;
};

// Of each group the candidates with the lowest ranks, `most` of them.
class Lowest {
public:
    // `most_held`: bytes of a page; `outside`: reasons of pages that reach no rule.
    Lowest(std::size_t most, std::size_t most_held, Text outside) : most_(most), most_held_(most_held), outside_(outside) {}
    Lowest(Lowest&&) = default;
    Lowest& operator=(Lowest&&) = default;

    // False where a page of these groups would not be held.
    bool wants(std::uint64_t chance, Text groups, Stage stage) const {
        const auto limit = this->limit(groups, stage);
        return !limit || chance < *limit;
    }

    // The chance that pages of these groups must lie below; nothing where any will do.
    std::optional<std::uint64_t> limit(Text groups, Stage stage) const {
        const bool apart = stage == AS_READ;
        const Limits::value_type*& last = last_[apart][groups.empty() ? 0 : static_cast<std::uint8_t>(groups.front())];
        if (!last || last->first != groups) {
            const auto found = limits_[apart].find(groups);
            if (found == limits_[apart].end()) return std::nullopt;
            last = &*found;
        }
        return last->second;
    }

    void add(const Rank& rank, std::int64_t row, Text groups, Stage stage, Text url, Text timestamp, Text body);
    // Adds a page where it is wanted, as much of its body as may be held.
    void take(const Rank& rank, std::int64_t row, Text groups, Stage stage, Text url, Text timestamp, Text body);

    // Goes on with what is to stand in a table of its own.
    void begin() { first_ = next_; }

    std::vector<const Candidate*> held() const; // since it was begun, in their order
    std::vector<const Candidate*> of(std::size_t at, std::uint8_t group) const; // those of a group, the lowest first
    std::vector<std::uint8_t> groups_of(std::size_t at) const;

    using Place = std::pair<std::size_t, std::uint8_t>; // a track or variant, and a group
    std::vector<std::pair<Place, Rank>> limits() const; // of each place that is full the last that is held

private:
    struct Item {
        Rank rank;
        std::uint64_t back_id; // of two of one rank the first is the higher
        std::shared_ptr<Candidate> held; // by all heaps that have it
        auto operator<=>(const Item& other) const { return std::tie(rank, back_id) <=> std::tie(other.rank, other.back_id); }
    };
    void pop(std::vector<Item>& heap);
    void move_texts(); // of what is held

    std::size_t most_, most_held_;
    std::string outside_;
    std::uint64_t next_ = 0, first_ = 0;
    std::map<Place, std::vector<Item>> heaps_; // the highest first
    using Limits = TextMap<std::optional<std::uint64_t>>;
    Limits limits_[2]; // by groups; of pages as read apart, which go to others
    mutable std::array<const Limits::value_type*, 256> last_[2]{}; // asked for, by the first of the groups: mostly the one that is asked for next
    Texts texts_;
};

// Whether a chance lies below a limit that is halved so often, from above all chances.
inline bool is_below(std::uint64_t chance, unsigned halvings) {
    return !halvings || (halvings <= 64 && chance < std::uint64_t{1} << (64 - halvings));
}

struct LookedAt {
    std::uint64_t chance;
    Text body, url;
    bool is_news;
};

// The pages of a file that are looked at, held up to its end: those with a chance below a limit, which falls by half
// wherever they become too many or too large.
class Looked {
public:
    Looked(std::size_t most, std::size_t most_bytes) : most_(most), most_bytes_(most_bytes) {}

    bool wants(std::uint64_t chance) const { return is_below(chance, halvings_); }
    void add(std::uint64_t chance, Text body, Text url, bool is_news); // that is wanted

    const std::vector<LookedAt>& pages() const { return pages_; }
    unsigned halvings() const { return halvings_; } // of the limit, from above all chances
    unsigned halvings_for(std::size_t most) const; // of a limit with no more pages below it

private:
    void halve();

    std::size_t most_, most_bytes_, bytes_ = 0;
    unsigned halvings_ = 0;
    std::vector<LookedAt> pages_;
    Texts texts_;
};

} // namespace c4
