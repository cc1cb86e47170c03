#include "urls.hpp"

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
        const std::size_t size = scheme(url.substr(at));
        if (!size) bare += url[at];
        at += size ? size : 1;
    }
    std::string made;
    for (std::size_t at = 0; at < bare.size();) {
        if (!is_tracking(Text(bare).substr(at))) {
            made += bare[at++];
            continue;
        }
        at = bare.find('\n', at); // where `.` of Python's re ends
        if (at == std::string::npos) break;
    }
    while (made.ends_with('/')) made.pop_back();
    return made;
}

} // namespace c4
