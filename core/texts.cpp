#include "texts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace c4 {

namespace {

// Blocks that are free again. New memory has to be cleared by the system first, which takes longer than to fill it.
struct Spare {
    std::array<std::vector<char>, 16> blocks;
    std::size_t count = 0;
};
thread_local Spare spare;

} // namespace

Texts& Texts::operator=(Texts&& other) noexcept {
    blocks_.swap(other.blocks_);
    std::swap(used_, other.used_);
    std::swap(taken_, other.taken_);
    std::swap(live_, other.live_);
    return *this;
}

Texts::~Texts() {
    for (std::vector<char>& block : blocks_)
        if (block.size() == BLOCK && spare.count < spare.blocks.size()) spare.blocks[spare.count++] = std::move(block);
}

Text Texts::add(Text text) {
    if (text.empty()) return {};
    if (blocks_.empty() || text.size() > blocks_.back().size() - used_) {
        if (text.size() <= BLOCK && spare.count) blocks_.push_back(std::move(spare.blocks[--spare.count]));
        else blocks_.emplace_back(std::max(text.size(), BLOCK));
        taken_ += blocks_.back().size();
        used_ = 0;
    }
    char* const to = blocks_.back().data() + used_;
    std::copy(text.begin(), text.end(), to);
    used_ += text.size();
    live_ += text.size();
    return {to, text.size()};
}

} // namespace c4
