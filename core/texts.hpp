// Room for texts of which many come and few stay: apart from all other memory, in which they would leave holes of every size.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "unicode.hpp"

namespace c4 {

class Texts {
public:
    Texts() = default;
    Texts(Texts&& other) noexcept { *this = std::move(other); }
    Texts& operator=(Texts&& other) noexcept;
    ~Texts();

    Text add(Text text); // a copy, which stays where it is as long as this does
    void let_go(Text text) { live_ -= text.size(); }

    // Whether to copy what is live to another of these would save most of the memory.
    bool is_sparse() const { return taken_ > 2 * live_ + 2 * BLOCK; }

private:
    static constexpr std::size_t BLOCK = 1 << 20; // bytes; a longer text has a block of its own

    std::vector<std::vector<char>> blocks_;
    std::size_t used_ = 0;             // of the last block
    std::size_t taken_ = 0, live_ = 0; // of all
};

} // namespace c4
