#include "repeats.hpp"

#include <algorithm>
#include <bit>
#include <compare>
#include <cstring>
#include <stdexcept>

namespace c4 {

namespace {

constexpr std::size_t FIXED = 28; // bytes of a record before its variants

// In the order in which keys of one hash are kept: the first has what it has, the others what is left.
struct Key {
    std::uint64_t high, low, rank;
    std::uint32_t group, position;
    std::size_t at; // among all
    auto operator<=>(const Key&) const = default;
};

template <class Number>
Number read(Text from, std::size_t at) {
    static_assert(std::endian::native == std::endian::little);
    Number number;
    std::memcpy(&number, from.substr(at, sizeof number).data(), sizeof number);
    return number;
}

// Which hashes were there before, of which some more are said to be: a bit for each of several that share one.
class Seen {
public:
    explicit Seen(std::size_t keys) : shift_(64 - std::min(static_cast<int>(std::bit_width(keys | 63)) + 3, 40)), bits_((std::size_t{1} << (64 - shift_)) / 64) {}

    bool add(std::uint64_t hash) {
        const std::uint64_t place = hash >> shift_, bit = std::uint64_t{1} << place % 64;
        const bool before = bits_[place / 64] & bit;
        bits_[place / 64] |= bit;
        return before;
    }
    bool has(std::uint64_t hash) const { return bits_[hash >> shift_ >> 6] >> (hash >> shift_) % 64 & 1; }

private:
    int shift_;
    std::vector<std::uint64_t> bits_;
};

} // namespace

std::vector<char> lost_repeats(Text keys, std::size_t size, std::span<const std::uint32_t> groups) {
    const std::size_t count = groups.size();
    if (size <= FIXED || size > FIXED + 8 || keys.size() / size != count || keys.size() % size)
        throw std::invalid_argument("these are no keys of repeats");
    const auto high_of = [&](std::size_t at) { return read<std::uint64_t>(keys, at * size); };
    Seen once(count), twice(count);
    for (std::size_t at = 0; at < count; at++)
        if (once.add(high_of(at))) twice.add(high_of(at));
    std::vector<Key> some; // most keys have no equal, and need not be sorted
    for (std::size_t at = 0; at < count; at++) {
        const std::uint64_t high = high_of(at);
        if (!twice.has(high)) continue;
        const Text record = keys.substr(at * size, size);
        some.push_back({high, read<std::uint64_t>(record, 8), read<std::uint64_t>(record, 16), groups[at], read<std::uint32_t>(record, 24), at});
    }
    std::sort(some.begin(), some.end());
    const std::size_t width = size - FIXED;
    std::vector<char> lost(count * width);
    std::uint64_t taken = 0;
    for (std::size_t n = 0; n < some.size(); n++) {
        const Key& key = some[n];
        if (n && (key.high != some[n - 1].high || key.low != some[n - 1].low)) taken = 0;
        std::uint64_t variants = 0;
        std::memcpy(&variants, keys.data() + key.at * size + FIXED, width);
        const std::uint64_t both = variants & taken;
        std::memcpy(lost.data() + key.at * width, &both, width);
        taken |= variants;
    }
    return lost;
}

} // namespace c4
