#include "urls.hpp"

#include <algorithm>

namespace c4 {

namespace {

// Bytes of `https?://(www\.)?` at the beginning of a text, 0 where it does not begin so.
std::size_t scheme(Text text) {
    if (!text.starts_with("http")) return 0;
    std::size_t size = text.substr(4).starts_with('s') ? 5 : 4;
    if (!text.substr(size).starts_with("://")) return 0;
    size += 3;
    return text.substr(size).starts_with("www.") ? size + 4 : size;
}

bool is_tracking(Text text) { // \?(utm_|ref|feed)
    if (!text.starts_with('?')) return false;
    text.remove_prefix(1);
    return text.starts_with("utm_") || text.starts_with("ref") || text.starts_with("feed");
}

} // namespace

std::string normalize_url(Text url) {
    std::string bare;
    for (std::size_t at = 0; at < url.size();) {
        const std::size_t next = std::min(url.find('h', at), url.size());
        const std::size_t size = scheme(url.substr(next)), stays = size ? next : std::min(next + 1, url.size());
        bare += url.substr(at, stays - at);
        at = stays + size;
    }
    std::string made;
    for (std::size_t at = 0; at < bare.size();) {
        const std::size_t next = std::min(bare.find('?', at), bare.size());
        const bool tracking = is_tracking(Text(bare).substr(next));
        const std::size_t stays = tracking ? next : std::min(next + 1, bare.size());
        made.append(bare, at, stays - at);
        at = tracking ? std::min(bare.find('\n', next), bare.size()) : stays; // where `.` of Python's re ends
    }
    while (made.ends_with('/')) made.pop_back();
    return made;
}

Text plain_host(Text normalized) {
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
    std::size_t size = 0;
    while (size < normalized.size() && is_plain(normalized[size])) size++;
    const bool ends = size == normalized.size() || Text("/?#").find(normalized[size]) != Text::npos;
    return ends ? normalized.substr(0, size) : Text();
}

} // namespace c4
