#include "finish.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "example.hpp"

namespace c4 {

namespace {

void check(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

class Judge {
public:
    Judge(const Steps& steps, const Units& units, const Surviving& pages, Variants raw, std::size_t variants)
        : steps_(steps), units_(units), pages_(pages), raw_(raw), variants_(variants) {
        made_.removed.resize(variants);
    }

    // Takes a page that lost those of the positions from `low` to `high`, whose first line or span is `first`.
    void take(std::size_t row, std::size_t first, std::size_t low, std::size_t high) {
        const Variants clean = pages_.running[row] & ~raw_;
        if (const Variants raw = pages_.running[row] & raw_) add(row, pages_.raws[row], raw, raw);
        if (!clean) return;
        Variants losing = 0;
        for (std::size_t at = low; at < high; at++) losing |= pages_.lost[at] & clean;
        if (!losing) return judge(row, pages_.texts[row], clean);
        for (Variants left = clean; left;) {
            // With the first variant all those that lost the same.
            const Variants one = left & -left;
            Variants alike = left;
            std::vector<std::size_t> gone;
            for (std::size_t at = low; at < high; at++) {
                const bool loses = pages_.lost[at] & one;
                alike &= loses ? pages_.lost[at] : ~pages_.lost[at];
                if (loses) gone.push_back(pages_.positions[at] - first);
            }
            left &= ~alike;
            each_bit(alike, [&](std::size_t bit) { made_.removed[bit] += gone.size(); });
            if (gone.empty()) {
                judge(row, pages_.texts[row], alike);
            } else {
                judge(row, made_.remade.emplace_back(units_.without(pages_.texts[row], gone)), alike);
            }
        }
    }

    Outcomes outcomes() { return std::move(made_); }

private:
    void judge(std::size_t row, Text text, Variants running) {
        const std::span<std::uint8_t> reasons = add(row, text, running, running);
        steps_.after(text, running, reasons);
        for (std::size_t bit = 0; bit < variants_; bit++)
            if (reasons[bit]) made_.kept.back() &= ~(Variants{1} << bit);
    }

    std::span<std::uint8_t> add(std::size_t row, Text text, Variants before, Variants kept) {
        made_.rows.push_back(static_cast<std::uint32_t>(row));
        made_.texts.push_back(text);
        made_.before.push_back(before);
        made_.kept.push_back(kept);
        made_.reasons.resize(made_.reasons.size() + variants_);
        return std::span(made_.reasons).last(variants_);
    }

    const Steps& steps_;
    const Units& units_;
    const Surviving& pages_;
    Variants raw_;
    std::size_t variants_;
    Outcomes made_;
};

} // namespace

Outcomes outcomes_of(const Steps& steps, const Units& units, const Surviving& pages, Variants raw, std::size_t variants) {
    const std::size_t rows = pages.running.size(), positions = pages.positions.size();
    check(pages.texts.size() == rows && pages.raws.size() == rows && pages.keys.size() == rows, "columns of different lengths");
    check(pages.lost.size() == positions, "as many variants as positions are needed");
    check(variants > 0 && variants < 64, "there may be 63 variants");
    Judge judge(steps, units, pages, raw, variants);
    std::uint64_t first = 0;
    for (std::size_t row = 0, low = 0; row < rows; row++) {
        check(!(pages.running[row] >> variants), "there are not so many variants");
        const std::uint64_t stop = first + pages.keys[row];
        std::size_t high = low;
        for (; high < positions && pages.positions[high] < stop; high++)
            check(pages.positions[high] >= (high > low ? pages.positions[high - 1] : first), "positions are not sorted");
        if (pages.running[row]) judge.take(row, first, low, high);
        first = stop, low = high;
    }
    return judge.outcomes();
}

LookedInto take_samples(Lowest& lowest, const Units& units, const Surviving& pages, const Outcomes& outcomes, const Described& of) {
    const std::size_t rows = pages.running.size(), variants = outcomes.removed.size();
    for (const std::size_t size : {pages.texts.size(), pages.raws.size(), pages.keys.size(), of.chances.size(), of.numbers.size(), of.urls.size(),
             of.timestamps.size(), of.cleaned.size()})
        check(size == rows, "columns of different lengths");
    for (const Loss& loss : of.losses) check(loss.variants.size() == rows, "columns of different lengths");
    std::string groups(variants, '\0');
    const auto none = [&] { groups.assign(variants, static_cast<char>(NO_GROUP)); };
    const auto set = [&](Variants bits, std::uint8_t group) { each_bit(bits, [&](std::size_t bit) { groups.at(bit) = static_cast<char>(group); }); };
    const auto take = [&](std::size_t row, Stage stage, Text body) {
        lowest.take({of.chances[row], of.file, of.numbers[row]}, -1, groups, stage, of.urls[row], of.timestamps[row], body);
    };
    LookedInto looked;
    const auto is_looked_at = [&](std::size_t row) { return is_below(of.chances[row], of.halvings); };
    const auto look_into_repeats = [&](std::size_t row, std::size_t low, std::size_t high, std::size_t first) {
        std::vector<std::size_t> positions;
        for (std::size_t at = low; at < high; at++) positions.push_back(pages.positions[at] - first);
        for (std::string& text : units.at(pages.texts[row], positions)) looked.repeats.push_back({std::move(text), pages.lost[low++] & pages.running[row]});
    };
    std::uint64_t first = 0;
    for (std::size_t row = 0, low = 0; row < rows; row++) {
        if (std::any_of(of.losses.begin(), of.losses.end(), [&](const Loss& loss) { return loss.variants[row]; })) {
            none();
            for (const Loss& loss : of.losses) set(loss.variants[row], loss.reason);
            take(row, CLEANED, of.cleaned[row] ? pages.texts[row] : pages.raws[row]);
        }
        const std::uint64_t stop = first + pages.keys[row];
        std::size_t high = low;
        while (high < pages.positions.size() && pages.positions[high] < stop) high++;
        if (high > low && pages.running[row]) {
            const std::size_t picked = low + of.chances[row] % (high - low);
            const Variants losing = pages.lost[picked] & pages.running[row];
            none();
            set(losing, REPEATED_GROUP);
            if (losing && lowest.wants(of.chances[row], groups, REPEATED)) take(row, REPEATED, units.at(pages.texts[row], {pages.positions[picked] - first}).front());
            if (is_looked_at(row)) look_into_repeats(row, low, high, first);
        }
        first = stop, low = high;
    }
    for (std::size_t n = 0; n < outcomes.rows.size(); n++) {
        const std::size_t row = outcomes.rows[n];
        const Variants kept = outcomes.kept[n], gone = outcomes.before[n] & ~kept;
        if (kept) {
            none();
            set(kept, 0);
            take(row, KEPT, outcomes.texts[n]);
            if (is_looked_at(row)) looked.kept.push_back(n);
        }
        if (gone) {
            none();
            each_bit(gone, [&](std::size_t bit) { groups.at(bit) = static_cast<char>(outcomes.reasons[n * variants + bit]); });
            take(row, CLEANED, outcomes.texts[n]);
        }
    }
    return looked;
}

Framer::Framer(
    const Outcomes& outcomes, Variants variants, std::span<const Text> names, std::span<const std::vector<Text>> columns,
    std::span<const std::uint8_t> left_out)
    : outcomes_(outcomes), names_(names), columns_(columns) {
    check(!(variants >> outcomes.removed.size()), "there are not so many variants");
    check(names.size() == columns.size() + 1, "a name is needed for the text and for each column");
    for (const auto& column : columns) check(column.size() == left_out.size(), "columns of different lengths");
    for (const std::uint32_t row : outcomes.rows) check(row < left_out.size(), "columns of different lengths");
    std::vector<Text> values(names.size());
    for (std::size_t n = 0; n < outcomes.rows.size(); n++) {
        const Variants kept = outcomes.kept[n] & variants;
        if (!kept || left_out[outcomes.rows[n]]) continue;
        take(n, values);
        frames.push_back({n, framed_example_size(names, values), kept});
        bytes += frames.back().size;
    }
}

void Framer::write(char* to) const {
    std::vector<Text> values(names_.size());
    for (const Frame& frame : frames) {
        take(frame.outcome, values);
        to = write_framed_example(to, names_, values);
    }
}

void Framer::take(std::size_t outcome, std::vector<Text>& values) const {
    values[0] = outcomes_.texts[outcome];
    for (std::size_t i = 0; i < columns_.size(); i++) values[i + 1] = columns_[i][outcomes_.rows[outcome]];
}

Part part_of(std::span<const Frame> frames, std::size_t variant) {
    Part part{};
    for (const Frame& frame : frames)
        if (frame.kept >> variant & 1) part.bytes += frame.size, part.examples++;
    return part;
}

void copy_part(std::span<const Frame> frames, std::size_t variant, const char* all, char* to) {
    std::size_t run = 0; // bytes before `all` that are to be copied
    const auto copy_run = [&] { to = std::copy(all - std::exchange(run, 0), all, to); };
    for (const Frame& frame : frames) {
        const bool kept = frame.kept >> variant & 1;
        if (!kept) copy_run();
        all += frame.size;
        if (kept) run += frame.size;
    }
    copy_run();
}

} // namespace c4
