#include "counts.hpp"

namespace c4 {

Counted count(Text text) {
    Counted counted{0, 0, text.empty() ? std::size_t{0} : 1, text.size()};
    bool in_word = false;
    for (std::size_t at = 0; at < text.size(); counted.characters++) {
        const Char found = char_at(text, at);
        at += found.size;
        counted.lines += found.code == '\n';
        const bool space = is(found.code, SPACE);
        counted.words += !space && !in_word;
        in_word = !space;
    }
    return counted;
}

} // namespace c4
