// Pages that may become samples, and those that are looked at. As `PlainLowest` in c4build/flow/candidates.py and `Looked` in
// c4build/flow/figures.py, which say what is what.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "unicode.hpp"

namespace c4 {

// Which page it is: the lower, the sooner it is a sample.
struct Rank {
    std::uint64_t chance;
    std::int64_t file, number;
    auto operator<=>(const Rank&) const = default;
};

// Of each group the candidates with the lowest ranks, `most` of them.
template <class Held>
class Lowest {
public:
    static constexpr std::uint8_t NONE = 255, READ = 254; // groups besides reasons

    // `outside`: reasons of pages that reach no rule.
    Lowest(std::size_t most, Text outside) : most_(most), outside_(outside) {}

    // False where a page of these groups would not be held; pages must come in order then.
    bool wants(std::uint64_t chance, Text groups) const {
        const auto limit = this->limit(groups);
        return !limit || chance < *limit;
    }

    // The chance that pages of these groups must lie below; nothing where any will do.
    std::optional<std::uint64_t> limit(Text groups) const {
        const auto found = limits_.find(groups);
        return found == limits_.end() ? std::nullopt : found->second;
    }

    // `groups`: of each track or variant; `as_read`: the page is as it was read.
    void add(const Rank& rank, Text groups, bool as_read, Held held) {
        const std::uint64_t id = next_++;
        std::size_t uses = 0;
        std::optional<std::uint64_t> limit = 0;
        for (std::size_t at = 0; at < groups.size(); at++) {
            const auto group = static_cast<std::uint8_t>(groups[at]);
            if (group == NONE) continue;
            if (group || !as_read) uses += push({at, group}, {rank, ~id}, limit);
            if (as_read && outside_.find(groups[at]) == Text::npos) uses += push({at, READ}, {rank, ~id}, limit);
        }
        limits_.insert_or_assign(std::string(groups), limit);
        if (uses) held_.emplace(id, std::pair{std::move(held), uses});
    }

    // All, in no order.
    template <class Take>
    void each(Take take) const {
        for (const auto& [id, held] : held_) take(held.first);
    }

    // Those of a group, the lowest first.
    std::vector<const Held*> of(std::size_t at, std::uint8_t group) const {
        std::vector<const Held*> found;
        const auto heap = heaps_.find({at, group});
        if (heap == heaps_.end()) return found;
        std::vector<Item> items = heap->second;
        std::sort(items.begin(), items.end());
        for (const Item& item : items) found.push_back(&held_.at(~item.back_id).first);
        return found;
    }

    std::vector<std::uint8_t> groups_of(std::size_t at) const {
        std::vector<std::uint8_t> found;
        for (const auto& [place, heap] : heaps_)
            if (place.first == at) found.push_back(place.second);
        return found;
    }

private:
    struct Item {
        Rank rank;
        std::uint64_t back_id; // of two of one rank the first is the higher
        auto operator<=>(const Item&) const = default;
    };

    // Adds to the heap of a place; returns whether it stays there. `limit` becomes the place's where that is the higher.
    bool push(std::pair<std::size_t, std::uint8_t> place, const Item& item, std::optional<std::uint64_t>& limit) {
        std::vector<Item>& heap = heaps_[place]; // the highest first
        bool stays = true;
        if (heap.size() == most_ && item > heap.front()) {
            stays = false;
        } else {
            if (heap.size() == most_) {
                std::pop_heap(heap.begin(), heap.end());
                let_go(~heap.back().back_id);
                heap.pop_back();
            }
            heap.push_back(item);
            std::push_heap(heap.begin(), heap.end());
        }
        if (heap.size() < most_) limit.reset();
        else if (limit) limit = std::max(*limit, heap.front().rank.chance);
        return stays;
    }

    void let_go(std::uint64_t id) {
        const auto held = held_.find(id);
        if (!--held->second.second) held_.erase(held);
    }

    std::size_t most_;
    std::string outside_;
    std::uint64_t next_ = 0;
    std::map<std::pair<std::size_t, std::uint8_t>, std::vector<Item>> heaps_; // by track or variant, and group
    std::map<std::string, std::optional<std::uint64_t>, std::less<>> limits_;
    std::unordered_map<std::uint64_t, std::pair<Held, std::size_t>> held_; // with how many heaps have it
};

// The pages of a file that are looked at, held up to its end: those with a chance below a limit, which falls by half
// wherever they become too many or too large.
template <class Held>
class Looked {
public:
    Looked(std::size_t most, std::size_t most_bytes) : most_(most), most_bytes_(most_bytes) {}

    bool wants(std::uint64_t chance) const { return !halvings_ || chance < limit(); }

    // Adds a page that is wanted, of so many bytes.
    void add(std::uint64_t chance, Held held, std::size_t size) {
        pages_.push_back({chance, size, std::move(held)});
        bytes_ += size;
        while (pages_.size() > most_ || (bytes_ > most_bytes_ && pages_.size() > 1)) {
            halvings_++;
            std::erase_if(pages_, [&](const Page& page) {
                if (page.chance < limit()) return false;
                bytes_ -= page.size;
                return true;
            });
        }
    }

    struct Page {
        std::uint64_t chance;
        std::size_t size;
        Held held;
    };
    const std::vector<Page>& pages() const { return pages_; }
    unsigned halvings() const { return halvings_; } // of the limit, from above all chances

private:
    std::uint64_t limit() const { return halvings_ > 64 ? 0 : std::uint64_t{1} << (64 - halvings_); }

    std::size_t most_, most_bytes_, bytes_ = 0;
    unsigned halvings_ = 0;
    std::vector<Page> pages_;
};

} // namespace c4
