#include "units.hpp"

#include <algorithm>
#include <utility>

#include "hashes.hpp"

namespace c4 {

namespace {

// " ".join(text.lower().split())
std::string normalised(Text text) {
    const std::string low = lower(text);
    std::string made;
    made.reserve(low.size());
    bool space = false;
    for (std::size_t at = 0; at < low.size();) {
        const Char found = char_at(low, at);
        if (is(found.code, SPACE)) {
            space = true;
        } else {
            if (space && !made.empty()) made += ' ';
            space = false;
            made.append(low, at, found.size);
        }
        at += found.size;
    }
    return made;
}

} // namespace

Units::Units(std::size_t span_sentences, std::shared_ptr<const Punkt> punkt)
    : span_sentences_(span_sentences), punkt_(std::move(punkt)) {}

std::string Units::keys(Text text) const {
    std::string made;
    if (!span_sentences_) {
        const std::string low = lower(text); // as each line's: nothing in a line depends on another, and spaces stay what they are
        split(low, [&](Text line) { append_hash(made, murmur3(strip(line))); });
        return made;
    }
    std::vector<std::string> sentences;
    split(text, [&](Text line) {
        for (const auto& [start, stop] : punkt_->spans(line)) sentences.push_back(normalised(line.substr(start, stop - start)));
    });
    for (std::size_t first = 0; first + span_sentences_ <= sentences.size(); first++) {
        std::string span = sentences[first];
        for (std::size_t next = first + 1; next < first + span_sentences_; next++) {
            span += '\n';
            span += sentences[next];
        }
        append_hash(made, murmur3(span));
    }
    return made;
}

std::vector<std::string> Units::at(Text text, const std::vector<std::size_t>& positions) const {
    std::vector<Text> parts; // lines, or sentences
    split(text, [&](Text line) {
        if (!span_sentences_) return parts.push_back(line);
        for (const auto& [start, stop] : punkt_->spans(line)) parts.push_back(strip(line.substr(start, stop - start)));
    });
    std::vector<std::string> made;
    for (const std::size_t position : positions) {
        std::string& unit = made.emplace_back(parts.at(position));
        for (std::size_t next = position + 1; next < position + span_sentences_; next++) (unit += ' ') += parts.at(next);
    }
    return made;
}

std::string Units::without(Text text, const std::vector<std::size_t>& lost) const {
    std::string made;
    made.reserve(text.size());
    std::size_t number = 0;
    bool first_line = true;
    if (!span_sentences_) {
        split(text, [&](Text line) {
            if (std::binary_search(lost.begin(), lost.end(), number++)) return;
            if (!first_line) made += '\n';
            first_line = false;
            made += line;
        });
        return made;
    }
    // A sentence is gone where a span that it is in is lost: one that begins at it or up to so many before.
    const auto gone = [&](std::size_t sentence) {
        const std::size_t from = sentence < span_sentences_ ? 0 : sentence - span_sentences_ + 1;
        const auto span = std::lower_bound(lost.begin(), lost.end(), from);
        return span != lost.end() && *span <= sentence;
    };
    split(text, [&](Text line) {
        bool first = true;
        for (const auto& [start, stop] : punkt_->spans(line)) {
            if (gone(number++)) continue;
            if (first ? !first_line : true) made += first ? '\n' : ' ';
            first = first_line = false;
            made += strip(line.substr(start, stop - start));
        }
    });
    return made;
}

} // namespace c4
