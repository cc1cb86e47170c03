// The columns of a row group as Arrow lays them out, filled a page at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "unicode.hpp"

namespace c4 {

// Which values of a column are there, a bit each, the lowest first.
class Validity {
public:
    void add(bool there) {
        if (size_ % 8 == 0) bits_ += '\0';
        if (there) bits_.back() = static_cast<char>(static_cast<unsigned char>(bits_.back()) | 1u << size_ % 8);
        nulls_ += !there;
        size_++;
    }
    std::size_t nulls() const { return nulls_; }
    Text bits() const { return bits_; }

private:
    std::string bits_;
    std::size_t size_ = 0, nulls_ = 0;
};

// Strings or bytes, some of them null.
class TextColumn {
public:
    void add(std::optional<Text> text) {
        if (text) data_ += *text;
        offsets_.push_back(static_cast<std::int32_t>(data_.size()));
        validity_.add(text.has_value());
    }
    void reserve(const TextColumn& other) {
        data_.reserve(other.data_.size() + other.data_.size() / 4);
        offsets_.reserve(other.offsets_.size());
    }
    bool has_room(std::size_t more) const { return data_.size() + more <= std::numeric_limits<std::int32_t>::max(); }

    const Validity& validity() const { return validity_; }
    const std::vector<std::int32_t>& offsets() const { return offsets_; } // one more than there are values
    Text data() const { return data_; }

private:
    std::string data_;
    std::vector<std::int32_t> offsets_{0};
    Validity validity_;
};

// Truth values, some of them null.
struct FlagColumn {
    void add(std::optional<bool> value) {
        validity.add(value.has_value());
        values.add(value.value_or(false));
    }
    Validity validity, values;
};

// One page, as `Row` in c4build/flow/rows.py has it.
struct PageRow {
    Text reasons; // a byte a track
    std::uint32_t number;
    std::uint64_t chance;
    Text hash; // 16 bytes
    Text timestamp;
};

// What a page that is still in has besides.
struct PageTexts {
    Text url, content_type, content_length;
    bool validation;
    std::uint64_t rank;
    Text keys; // 16 bytes each
    std::optional<Text> text, raw;
    Text record_id, refers_to, path, offset; // where it is from, if that is asked for
};

// As `Row` again. `keys` are the key file's, `key_counts` the page file's.
struct Columns {
    // Throws std::length_error where a row group cannot hold so much.
    void add(const PageRow& row, const std::optional<PageTexts>& of);
    std::size_t rows() const { return numbers.size(); }
    void reserve(const Columns& other); // room for about as much as another row group has: what grows is copied

    TextColumn reasons, timestamps, urls, content_types, content_lengths, keys, texts, raws;
    TextColumn record_ids, refers_to, paths, offsets;
    std::vector<std::uint32_t> numbers, key_counts;
    std::vector<std::uint64_t> chances, ranks;
    std::string hashes;
    FlagColumn validations;
};

} // namespace c4
