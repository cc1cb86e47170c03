// Sentences as Punkt finds them (Kiss & Strunk, 2006), in the manner of NLTK 3.8.1.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "unicode.hpp"

namespace c4 {

using Span = std::pair<std::size_t, std::size_t>; // from, to: bytes

// A language's parameters, and what is asked of them. Unchanged once made: many threads may share it.
class Punkt {
public:
    // `contexts`: of lower-case word types, the cases and places in which they were seen, flags of NLTK's.
    Punkt(const std::vector<std::string>& abbreviations, const std::vector<std::pair<std::string, std::string>>& collocations,
          const std::vector<std::string>& starters, const std::unordered_map<std::string, int>& contexts);

    std::vector<Span> spans(Text text) const;
    bool has_sentences(Text text, std::size_t least) const;
    bool sentences_in_lines(Text text, std::size_t least) const; // its lines, each taken by itself, together
    std::size_t count_sentences(Text text, bool by_line) const;

    bool contains_break(Text context) const; // does a token other than the last end a sentence?
    bool is_plain(Text word) const;          // letters of ASCII, two or more, behind which a period ends a sentence

private:
    bool breaks(Text token, Text after) const;
    bool is_abbreviation(Text low) const;
    bool is_collocation(Text first, Text second) const;
    std::optional<bool> starts_sentence(Text token, Text kind) const;
    int context_of(Text kind) const;

    TextSet abbreviations_, starters_, unsure_; // unsure: words behind which a period may end none
    std::size_t longest_unsure_ = 0;        // bytes
    TextMap<TextSet> collocations_;
    TextMap<int> contexts_;
};

// The sentences of a text one by one, so that "are there three?" stops at the third. The text must outlive it.
class Sentences {
public:
    Sentences(const Punkt& punkt, Text text) : punkt_(punkt), text_(text), previous_(next_raw()) {}

    std::optional<Span> next();

private:
    // A mark that may end a sentence: where its word begins, where it stands itself, and where the next word begins, or
    // the punctuation behind it.
    struct Candidate {
        std::size_t word, mark, next;
    };

    std::optional<Candidate> next_mark();
    std::optional<Candidate> next_candidate();
    std::optional<Span> next_raw();
    bool ends_sentence(const Candidate& candidate) const;
    Text context_of(const Candidate& candidate) const;

    const Punkt& punkt_;
    Text text_;
    std::size_t at_ = 0;                // where marks are looked for
    std::optional<Candidate> waiting_;  // the last mark met: the next may belong to the same word
    std::size_t last_break_ = 0;
    bool ended_ = false;
    std::optional<Span> previous_;      // before closing punctuation behind it is its own
    std::size_t shift_ = 0;             // what of its beginning belongs to the sentence before
};

} // namespace c4
