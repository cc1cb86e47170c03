#include "pages.hpp"

#include <utility>

#include "hashes.hpp"
#include "urls.hpp"

namespace c4 {

namespace {

// What is outside of all rules.
std::string outside(const PageRules& rules) {
    return {static_cast<char>(rules.not_a_news_domain), static_cast<char>(rules.excluded)};
}

} // namespace

Pages::Pages(PageRules rules, const Steps& steps, const Units& units)
    : rules_(std::move(rules)), steps_(steps), units_(units), counts_(rules_.tracks), lowest_(0, rules_.most_held, outside(rules_)),
      looked_(rules_.most_looked, rules_.most_looked_bytes) {}

void Pages::begin(Text path, std::size_t samples) {
    path_ = path;
    samples_ = samples;
    lowest_ = {samples, rules_.most_held, outside(rules_)};
    looked_ = {rules_.most_looked, rules_.most_looked_bytes};
    counts_.assign(rules_.tracks, {});
    lines_ = {};
    columns_ = {};
    bytes_ = 0;
    rows_before_ = 0;
}

Taken Pages::take(const PageFields& page, std::uint32_t number) {
    Taken taken = judge(page, number);
    if (samples_) hold(page, number, taken);
    return taken;
}

void Pages::hold(const PageFields& page, std::uint32_t number, const Taken& taken) {
    lowest_.take({taken.chance, 0, number}, taken.row, taken.reasons, AS_READ, page.url, page.timestamp, page.body);
    if (!taken.excluded && looked_.wants(taken.chance))
        looked_.add(taken.chance, page.body, taken.url, taken.is_news);
}

Taken Pages::judge(const PageFields& page, std::uint32_t number) {
    const Variants all = rules_.clean | rules_.raw;
    Taken taken{normalize_url(page.url), 0, -1, std::string(rules_.tracks, '\0'), false, true};
    const Hash128 hash = murmur3(taken.url);
    taken.chance = hash.high;
    if (rules_.is_excluded && rules_.is_excluded(taken.url)) {
        taken.excluded = true;
        taken.reasons.assign(rules_.tracks, static_cast<char>(rules_.excluded));
        count(all, taken.reasons);
        return taken;
    }
    taken.is_news = !rules_.news || rules_.is_news(taken.url);
    const Variants elsewhere = taken.is_news ? 0 : rules_.news, running = all & ~elsewhere;
    each_bit(elsewhere, [&](std::size_t track) { taken.reasons[track] = static_cast<char>(rules_.not_a_news_domain); });
    const std::span reasons(reinterpret_cast<std::uint8_t*>(taken.reasons.data()), taken.reasons.size());
    std::string made_text, made_raw;
    std::optional<Text> text, raw;
    if (running & rules_.clean) text = steps_.before(page.body, running & rules_.clean, reasons, lines_, made_text);
    if (running & rules_.raw) raw = steps_.before(page.body, running & rules_.raw, reasons, lines_, made_raw);
    std::string key;
    append_hash(key, hash);
    const PageRow row{taken.reasons, number, taken.chance, key, page.timestamp};
    const auto next = rows_before_ + static_cast<std::int64_t>(columns_.rows());
    if (text || raw) {
        add_texts(page, row, taken.url, text, raw);
        taken.row = next;
    } else if (rules_.rows_of_dropped && running) {
        columns_.add(row, std::nullopt);
        taken.row = next;
    }
    count(rules_.rows_of_dropped ? elsewhere : all, taken.reasons);
    return taken;
}

void Pages::add_texts(
    const PageFields& page, const PageRow& row, Text normalized, std::optional<Text> text, std::optional<Text> raw) {
    const std::string keys = text ? units_.keys(*text) : std::string();
    PageTexts texts{page.url, page.content_type, page.content_length, in_validation(normalized), text ? rank(page.url) : 0, keys, text, raw, {}, {}, {}, {}};
    std::string offset;
    if (rules_.provenance) {
        offset = std::to_string(page.offset);
        texts.record_id = page.record_id;
        texts.refers_to = page.refers_to;
        texts.path = path_;
        texts.offset = offset;
    }
    columns_.add(row, texts);
    bytes_ += page.body.size();
}

void Pages::count(Variants variants, Text reasons) {
    each_bit(variants, [&](std::size_t track) {
        if (const auto reason = static_cast<std::uint8_t>(reasons[track])) counts_[track][reason]++;
    });
}

Lowest Pages::take_lowest() { return std::exchange(lowest_, {samples_, rules_.most_held, outside(rules_)}); }

Columns Pages::take_columns() {
    rows_before_ += static_cast<std::int64_t>(columns_.rows());
    bytes_ = 0;
    Columns taken = std::exchange(columns_, {});
    columns_.reserve(taken);
    return taken;
}

} // namespace c4
