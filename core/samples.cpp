#include "samples.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_set>

namespace c4 {

namespace {

constexpr Text Candidate::* TEXTS[] = {&Candidate::groups, &Candidate::url, &Candidate::timestamp, &Candidate::body};

// The text, or so many bytes of it, up to a whole character.
Text shortened(Text text, std::size_t most) {
    if (text.size() <= most) return text;
    while (most && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) most--;
    return text.substr(0, most);
}

} // namespace

void Lowest::add(const Rank& rank, std::int64_t row, Text groups, Stage stage, Text url, Text timestamp, Text body) {
    if (texts_.is_sparse()) move_texts();
    Item item{rank, ~next_++, nullptr};
    std::optional<std::uint64_t> limit = 0;
    const auto push = [&](const Place& place) {
        std::vector<Item>& heap = heaps_[place];
        const bool full = heap.size() >= most_;
        if (!full || item < heap.front()) {
            if (full) pop(heap);
            if (!item.held) {
                item.held = std::make_shared<Candidate>(Candidate{rank, row, groups, stage, url, timestamp, body});
                for (const auto text : TEXTS) (*item.held).*text = texts_.add((*item.held).*text);
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
    if (const auto& held = heap.back().held; held.use_count() == 1)
        for (const auto text : TEXTS) texts_.let_go((*held).*text);
    heap.pop_back();
}

void Lowest::move_texts() {
    Texts moved;
    std::unordered_set<const Candidate*> known;
    for (const auto& [place, heap] : heaps_)
        for (const Item& item : heap)
            if (known.insert(item.held.get()).second)
                for (const auto text : TEXTS) (*item.held).*text = moved.add((*item.held).*text);
    texts_ = std::move(moved);
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
    bytes_ += body.size();
    pages_.push_back({chance, texts_.add(body), texts_.add(url), is_news});
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
    std::erase_if(pages_, [&](const LookedAt& page) {
        if (wants(page.chance)) return false;
        bytes_ -= page.body.size();
        texts_.let_go(page.body);
        texts_.let_go(page.url);
        return true;
    });
    if (!texts_.is_sparse()) return;
    Texts moved;
    for (LookedAt& page : pages_) page.body = moved.add(page.body), page.url = moved.add(page.url);
    texts_ = std::move(moved);
}

} // namespace c4
