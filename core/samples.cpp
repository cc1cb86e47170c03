#include "samples.hpp"

#include <algorithm>
#include <iterator>
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

void Lowest::add(const Rank& rank, std::int64_t row, Text groups, Stage stage, Text url, Text timestamp, Text body) {
    Item item{rank, ~next_++, nullptr};
    std::optional<std::uint64_t> limit = 0;
    const auto push = [&](const Place& place) {
        std::vector<Item>& heap = heaps_[place];
        const bool full = heap.size() >= most_;
        if (!full || item < heap.front()) {
            if (full) pop(heap);
            if (!item.held) {
                Candidate& held = *(item.held = spare());
                held.rank = rank, held.row = row, held.stage = stage;
                held.groups = groups, held.url = url, held.timestamp = timestamp, held.body = body;
            }
            heap.push_back(item);
            std::push_heap(heap.begin(), heap.end());
        }
        const bool any = heap.size() < most_ || heap.front().rank.chance == std::numeric_limits<std::uint64_t>::max();
        if (any) limit.reset();
        else if (limit) limit = std::max(*limit, heap.front().rank.chance + 1); // of two of one chance either may be the lower
    };
    for (std::size_t at = 0; at < groups.size(); at++) {
        const auto group = static_cast<std::uint8_t>(groups[at]);
        if (group == NO_GROUP) continue;
        if (group || stage != AS_READ) push({at, group});
        if (stage == AS_READ && outside_.find(groups[at]) == Text::npos) push({at, READ_GROUP});
    }
    auto& limits = limits_[stage == AS_READ];
    if (const auto known = limits.find(groups); known != limits.end()) known->second = limit;
    else limits.emplace(groups, limit);
}

void Lowest::take(const Rank& rank, std::int64_t row, Text groups, Stage stage, Text url, Text timestamp, Text body) {
    if (!wants(rank.chance, groups, stage)) return;
    add(rank, row, groups, stage, url, timestamp, shortened(body, most_held_));
}

void Lowest::pop(std::vector<Item>& heap) {
    std::pop_heap(heap.begin(), heap.end());
    if (heap.back().held.use_count() == 1) spare_.push_back(std::move(heap.back().held));
    heap.pop_back();
}

std::shared_ptr<Candidate> Lowest::spare() {
    if (spare_.empty()) return std::make_shared<Candidate>();
    auto held = std::move(spare_.back());
    spare_.pop_back();
    return held;
}

std::vector<const Candidate*> Lowest::held() const {
    std::vector<const Candidate*> found;
    for (const auto& [place, heap] : heaps_)
        for (const Item& item : heap)
            if (~item.back_id >= first_) found.push_back(item.held.get());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
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
    for (const Item& item : items) found.push_back(item.held.get());
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

void Looked::add(std::uint64_t chance, Text body, Text url, bool is_news) {
    LookedAt page;
    if (!spare_.empty()) {
        page = std::move(spare_.back());
        spare_.pop_back();
    }
    page.chance = chance, page.body = body, page.url = url, page.is_news = is_news;
    bytes_ += body.size();
    pages_.push_back(std::move(page));
    while (pages_.size() > most_ || (bytes_ > most_bytes_ && pages_.size() > 1)) halve();
}

unsigned Looked::halvings_for(std::size_t most) const {
    const auto below = [&](unsigned halvings) {
        return std::ranges::count_if(pages_, [&](const LookedAt& page) { return is_below(page.chance, halvings); });
    };
    unsigned halvings = halvings_;
    while (std::cmp_greater(below(halvings), most)) halvings++;
    return halvings;
}

void Looked::halve() {
    halvings_++;
    auto kept = pages_.begin();
    for (LookedAt& page : pages_) {
        if (wants(page.chance)) std::swap(*kept++, page);
        else bytes_ -= page.body.size();
    }
    spare_.insert(spare_.end(), std::make_move_iterator(kept), std::make_move_iterator(pages_.end()));
    pages_.erase(kept, pages_.end());
}

} // namespace c4
