// A record of a WET file as read/wet_warc.py and read/wet_tfds.py read it, where nothing about it is out of the ordinary.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "unicode.hpp"

namespace c4 {

// A page's record. All texts lie in the data that it was read from, are UTF-8, and but for the body are stripped.
struct Record {
    Text url, timestamp, content_type, content_length, record_id, refers_to;
    Text body;                         // without the line ends behind its last line; the others as they stand
    std::optional<std::string> remade; // the page's body, where that is not these bytes
    std::size_t end = 0; // where in the data the next record starts, or its end

    void move(const char* from, const char* to); // when the bytes that lay at `from` lie at `to`
};

// What `_read_record` and `_warc_page` make of the record at `at`; nothing where they must say it themselves. A record that
// ends with the data is only ordinary where the run does.
std::optional<Record> ordinary_warc(Text data, std::size_t at, std::size_t most, std::size_t max_chars);

// What `_tfds_page` makes of a segment that is a single record with as many bytes as it says; nothing where it must say it
// itself, nor one merged of several. So its data has one delimiter.
std::optional<Record> ordinary_tfds(Text data, std::size_t max_chars);

// Where the gzip member behind the one at `at` seems to start, its header less than `most` bytes from that place; 0 where no
// member starts at `at`, or none is found.
std::size_t next_member(Text data, std::size_t at, std::size_t most);

} // namespace c4
