#include "columns.hpp"

#include <stdexcept>

namespace c4 {

void Columns::add(const PageRow& row, const std::optional<PageTexts>& of) {
    const auto fits = [](const TextColumn& column, std::optional<Text> text) { return !text || column.has_room(text->size()); };
    if (of && !(fits(texts, of->text) && fits(raws, of->raw) && fits(keys, of->keys)))
        throw std::length_error("over 2 GiB of text in a row group");
    reasons.add(row.reasons);
    numbers.push_back(row.number);
    chances.push_back(row.chance);
    hashes += row.hash;
    timestamps.add(row.timestamp);
    ranks.push_back(of ? of->rank : 0);
    keys.add(of ? of->keys : Text());
    key_counts.push_back(of ? static_cast<std::uint32_t>(of->keys.size() / 16) : 0);
    validations.add(of ? std::optional(of->validation) : std::nullopt);
    const auto put = [&](TextColumn& column, Text PageTexts::* text) { column.add(of ? std::optional((*of).*text) : std::nullopt); };
    put(urls, &PageTexts::url);
    put(content_types, &PageTexts::content_type);
    put(content_lengths, &PageTexts::content_length);
    texts.add(of ? of->text : std::nullopt);
    raws.add(of ? of->raw : std::nullopt);
    put(record_ids, &PageTexts::record_id);
    put(refers_to, &PageTexts::refers_to);
    put(paths, &PageTexts::path);
    put(offsets, &PageTexts::offset);
}

void Columns::reserve(const Columns& other) {
    for (TextColumn Columns::* column : {&Columns::texts, &Columns::raws, &Columns::keys, &Columns::urls})
        (this->*column).reserve(other.*column);
}

} // namespace c4
