#include "samples.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace c4 {

namespace {

// The text, or so many bytes of it, up to a whole character.
Text shortened(Text text, std::size_t most) {
    if (text.size() <= most) return text;
    while (most && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) most--;
    return text.substr(0, most);
}

} // namespace

void Lowest::add(Candidate candidate) {
    const std::uint64_t id = next_++;
    const Item item{candidate.rank, ~id};
    const Text groups = candidate.groups;
    std::size_t uses = 0;
    std::optional<std::uint64_t> limit = 0;
    for (std::size_t at = 0; at < groups.size(); at++) {
        const auto group = static_cast<std::uint8_t>(groups[at]);
        if (group == NO_GROUP) continue;
        if (group || candidate.stage != AS_READ) uses += push({at, group}, item, limit);
        if (candidate.stage == AS_READ && outside_.find(groups[at]) == Text::npos) uses += push({at, READ_GROUP}, item, limit);
    }
    limits_[candidate.stage == AS_READ].insert_or_assign(candidate.groups, limit);
    if (uses) held_.emplace(id, Held{std::move(candidate), uses});
}

void Lowest::take(const Rank& rank, std::int64_t row, Text groups, Stage stage, Text url, Text timestamp, Text body) {
    if (!wants(rank.chance, groups, stage)) return;
    add({rank, row, std::string(groups), stage, std::string(url), std::string(timestamp), std::string(shortened(body, most_held_))});
}

// Adds to the heap of a place; returns whether the item stays there. `limit` becomes the place's where that is the higher.
bool Lowest::push(const Place& place, const Item& item, std::optional<std::uint64_t>& limit) {
    std::vector<Item>& heap = heaps_[place];
    const bool full = heap.size() >= most_, stays = !full || item < heap.front();
    if (full && stays) {
        std::pop_heap(heap.begin(), heap.end());
        let_go(~heap.back().back_id);
        heap.pop_back();
    }
    if (stays) {
        heap.push_back(item);
        std::push_heap(heap.begin(), heap.end());
    }
    const bool any = heap.size() < most_ || heap.front().rank.chance == std::numeric_limits<std::uint64_t>::max();
    if (any) limit.reset();
    else if (limit) limit = std::max(*limit, heap.front().rank.chance + 1); // of two of one chance either may be the lower
    return stays;
}

void Lowest::let_go(std::uint64_t id) {
    const auto held = held_.find(id);
    if (!--held->second.uses) held_.erase(held);
}

std::vector<const Candidate*> Lowest::held() const {
    std::vector<const Candidate*> found;
    for (const auto& [id, held] : held_)
        if (id >= first_) found.push_back(&held.candidate);
    const auto fields = [](const Candidate& of) { return std::tie(of.rank, of.row, of.groups, of.stage, of.url, of.timestamp, of.body); };
    std::sort(found.begin(), found.end(), [&](const Candidate* a, const Candidate* b) { return fields(*a) < fields(*b); });
    return found;
}

std::vector<const Candidate*> Lowest::of(std::size_t at, std::uint8_t group) const {
    std::vector<const Candidate*> found;
    const auto heap = heaps_.find({at, group});
    if (heap == heaps_.end()) return found;
    std::vector<Item> items = heap->second;
    std::sort(items.begin(), items.end());
    for (const Item& item : items) found.push_back(&held_.at(~item.back_id).candidate);
    return found;
}

std::vector<std::uint8_t> Lowest::groups_of(std::size_t at) const {
    std::vector<std::uint8_t> found;
    for (const auto& [place, heap] : heaps_)
        if (place.first == at) found.push_back(place.second);
    return found;
}

std::vector<std::pair<Lowest::Place, Rank>> Lowest::limits() const {
    std::vector<std::pair<Place, Rank>> found;
    for (const auto& [place, heap] : heaps_)
        if (heap.size() >= most_) found.emplace_back(place, heap.front().rank);
    return found;
}

void Looked::add(LookedAt page) {
    bytes_ += page.body.size();
    pages_.push_back(std::move(page));
    while (pages_.size() > most_ || (bytes_ > most_bytes_ && pages_.size() > 1)) {
        halvings_++;
        std::erase_if(pages_, [&](const LookedAt& one) {
            if (one.chance < limit()) return false;
            bytes_ -= one.body.size();
            return true;
        });
    }
}

} // namespace c4
