#include <deque>
#include <span>

#include "bound.hpp"
#include "finish.hpp"
#include "repeats.hpp"

namespace c4 {

namespace {

// Outcomes with the texts that they look at.
class OutcomesOfPython {
public:
    OutcomesOfPython(
        const Steps& steps, const Units& units, const nb::tuple& texts, const nb::tuple& raws, nb::handle running, nb::handle keys,
        nb::handle positions, nb::handle lost, Variants raw, std::size_t variants)
        : texts_(texts), raws_(raws), running_(running), keys_(keys), positions_(positions), lost_(lost), units_(units),
          pages_{
              .texts = texts_.texts,
              .raws = raws_.texts,
              .running = running_.of<Variants>(),
              .keys = keys_.of<std::uint32_t>(),
              .positions = positions_.of<std::uint32_t>(),
              .lost = lost_.of<Variants>(),
          } {
        found = unlocked([&] { return outcomes_of(steps, units, pages_, raw, variants); });
    }

    // Of the pages of a file: urls and timestamps are columns of texts, losses are of (variants by page, reason). See `take_samples`.
    // Returns of what is looked into ([(row, variants that keep it, URL, counted, the text where it is judged)] of texts,
    // [(text, variants)] of lines or spans that were lost).
    nb::tuple take_samples(
        LowestOfPython& lowest, std::int64_t file, nb::handle chances, nb::handle numbers, const nb::tuple& urls, const nb::tuple& timestamps,
        nb::handle cleaned, const nb::list& losses, unsigned halvings, unsigned halvings_judged) const {
        const Numbers held[] = {Numbers(chances), Numbers(numbers), Numbers(cleaned)};
        const JoinedTexts texts[] = {JoinedTexts(urls), JoinedTexts(timestamps)};
        std::deque<Numbers> variants;
        std::vector<Loss> lost;
        for (const nb::handle loss : losses)
            lost.push_back({variants.emplace_back(loss[0]).of<Variants>(), nb::cast<std::uint8_t>(loss[1])});
        const Described of{
            file, held[0].of<std::uint64_t>(), held[1].of<std::uint32_t>(), texts[0].texts, texts[1].texts, held[2].of<std::uint8_t>(), lost, halvings};
        const LookedInto looked = c4::take_samples(lowest.lowest, units_, pages_, found, of); // too short to be worth letting other threads in
        nb::list kept, repeats;
        for (const std::size_t outcome : looked.kept) {
            const std::uint32_t row = found.rows[outcome];
            const Text text = found.texts[outcome];
            const nb::object judged = is_below(of.chances[row], halvings_judged) ? nb::object(to_bytes(text)) : nb::none();
            kept.append(nb::make_tuple(row, found.kept[outcome], to_str(of.urls[row]), to_tuple(count(text)), judged));
        }
        for (const auto& [text, variants] : looked.repeats) repeats.append(nb::make_tuple(to_str(text), variants));
        return nb::make_tuple(kept, repeats);
    }

    nb::bytes text(std::size_t outcome) const {
        if (outcome >= found.texts.size()) throw nb::index_error("there are not so many outcomes");
        return to_bytes(found.texts[outcome]);
    }

    Outcomes found;

private:
    JoinedTexts texts_, raws_;
    Numbers running_, keys_, positions_, lost_;
    const Units& units_;
    Surviving pages_;
};

// The frames of some variants, see `Framer`.
class FramesOfPython {
public:
    FramesOfPython(const OutcomesOfPython& outcomes, Variants variants, const nb::list& names, const nb::list& columns, nb::handle left_out)
        : variants_(variants) {
        std::vector<Text> name_texts;
        for (const nb::handle name : names) name_texts.push_back(text_of(nb::cast<nb::bytes>(name)));
        std::deque<JoinedTexts> held;
        std::vector<std::vector<Text>> values;
        for (const nb::handle column : columns) values.push_back(held.emplace_back(nb::cast<nb::tuple>(column)).texts);
        const Numbers mask(left_out);
        const auto bits = mask.of<std::uint8_t>();
        Framer framer = unlocked([&] { return Framer(outcomes.found, variants, name_texts, values, bits); });
        all_ = new_bytes(framer.bytes);
        unlocked([&] { framer.write(PyBytes_AS_STRING(all_.ptr())); });
        frames_ = std::move(framer.frames);
    }

    // (bytes, examples) of a variant.
    nb::tuple of(std::size_t variant) const {
        if (variant > 63 || !(variants_ >> variant & 1)) throw nb::index_error("it is none of these variants");
        const auto [bytes, examples] = part_of(frames_, variant);
        if (examples == frames_.size()) return nb::make_tuple(all_, examples);
        const nb::object made = new_bytes(bytes);
        unlocked([&] { copy_part(frames_, variant, PyBytes_AS_STRING(all_.ptr()), PyBytes_AS_STRING(made.ptr())); });
        return nb::make_tuple(made, examples);
    }

private:
    Variants variants_;
    std::vector<Frame> frames_;
    nb::object all_;
};

} // namespace

void bind_finish(nb::module_& module) {
    nb::class_<OutcomesOfPython>(module, "Outcomes")
        .def(nb::init<const Steps&, const Units&, const nb::tuple&, const nb::tuple&, nb::handle, nb::handle, nb::handle, nb::handle, Variants,
            std::size_t>(), nb::keep_alive<1, 3>())
        .def_prop_ro("rows", [](const OutcomesOfPython& self) { return to_bytes(self.found.rows); })
        .def_prop_ro("before", [](const OutcomesOfPython& self) { return to_bytes(self.found.before); })
        .def_prop_ro("kept", [](const OutcomesOfPython& self) { return to_bytes(self.found.kept); })
        .def_prop_ro("reasons", [](const OutcomesOfPython& self) { return to_bytes(self.found.reasons); })
        .def_prop_ro("removed", [](const OutcomesOfPython& self) { return to_bytes(self.found.removed); })
        .def("text", &OutcomesOfPython::text)
        .def("take_samples", &OutcomesOfPython::take_samples);
    nb::class_<FramesOfPython>(module, "Frames")
        .def(nb::init<const OutcomesOfPython&, Variants, const nb::list&, const nb::list&, nb::handle>())
        .def("of", &FramesOfPython::of);
    module.def("lost_repeats", [](nb::handle keys, std::size_t size, nb::handle groups) {
        const Numbers held[] = {Numbers(keys), Numbers(groups)};
        const auto bytes = held[0].of<char>();
        return to_bytes(unlocked([&] { return lost_repeats(Text(bytes.data(), bytes.size()), size, held[1].of<std::uint32_t>()); }));
    });
}

} // namespace c4
