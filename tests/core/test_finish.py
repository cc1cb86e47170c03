"""Finish by the compiled rules beside Finish in Python: the outcomes of pages that hypothesis makes, and every file of a unit."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import wet_files
from builds import VARIANTS
from hypothesis import given
from hypothesis import strategies as st

from c4build.compiled import core
from c4build.corpora.c4 import prepare
from c4build.dedup.keys import loss_dtype, repeat_dtype
from c4build.dedup.units import plain_units
from c4build.flow.clean import Cleaner
from c4build.flow.finish import FilePart, Finisher
from c4build.flow.outcomes import CompiledJudge, PlainJudge, Surviving, judge_of
from c4build.flow.sampling import UnitSamples
from c4build.page import PAGE_SCHEMA
from c4build.rules.steps import PlainSteps
from c4build.rules.tables import RULE_SETS
from c4build.rules.tables import VARIANTS as DEFINED
from c4build.write.example import encode_example, frame
from c4build.write.tables import joined

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)

BAD_WORDS = ("badword",)
LINES = st.lists(
    st.sampled_from(["It is a plain line.", "Did he? He did.", "Ein Satz.", "badword here. And there.", "é🙂 中文。", ""]), max_size=6
)  # fmt: skip
MOST = 8  # lines of a page


@st.composite
def row_groups(draw, rules):
    """(columns of a page file, what each page is still in, lost positions, the variants that lost each)."""
    rows, running, positions, lost, key = [], [], [], [], 0
    for _ in range(draw(st.integers(1, 5))):
        text = "\n".join(draw(LINES))
        raw = draw(st.none() | st.binary(max_size=20))
        keys = len(plain_units(rules).keys(text)) // 16
        rows.append((0, keys, text, raw, "http://e.com/é", draw(st.booleans() | st.none())))
        running.append(draw(st.integers(0, (1 << len(DEFINED)) - 1)) & ~(0 if raw is not None else 1 << _RAW))
        for place in sorted(draw(st.sets(st.integers(0, keys - 1)))) if keys else ():
            positions.append(key + place)
            lost.append(draw(st.integers(0, (1 << len(DEFINED)) - 1)) & ~(1 << _RAW))
        key += keys
    names = ["chance", "keys", "text", "raw", "url", "validation"]
    columns = [pa.array(column, PAGE_SCHEMA.field(name).type) for name, column in zip(names, zip(*rows))]
    return Surviving(
        pa.record_batch(columns, names), np.array(running, np.uint64), np.array(positions, np.uint32), np.array(lost, np.uint64)
    )  # fmt: skip


_RAW = next(bit for bit, variant in enumerate(DEFINED.values()) if variant.raw)
JUDGES = {}


def judges(name: str) -> tuple[CompiledJudge, PlainJudge]:
    if name not in JUDGES:
        rules, variants = RULE_SETS[name], list(DEFINED.values())
        plain = PlainJudge(rules, len(variants), PlainSteps(rules, variants, BAD_WORDS))
        JUDGES[name] = judge_of(rules, variants, BAD_WORDS), plain
    return JUDGES[name]


@pytest.mark.parametrize("name", ["c4-3.1.0", "paper"])
@given(data=st.data())
def test_pages_of_a_row_group_have_the_outcomes_that_the_plain_rules_give_them(name, data):
    compiled, plain = judges(name)
    assert isinstance(compiled, CompiledJudge)
    pages = data.draw(row_groups(RULE_SETS[name]))
    found, expected = compiled(pages), plain(pages)
    for field in ("rows", "before", "kept", "reasons", "removed"):
        assert (getattr(found, field).tolist(), field) == (getattr(expected, field).tolist(), field)
    texts = [
        text if isinstance(text, bytes) else text.encode() for text in map(expected.text, range(len(expected.rows)))
    ]
    assert [found.text(at) for at in range(len(found.rows))] == texts

    held_out, urls = (pages.rows.column(name).to_pylist() for name in ("validation", "url"))
    mask = np.array([out is True for out in held_out])
    every = (1 << len(DEFINED)) - 1
    frames = {
        asked: found.frames(asked, [b"text", b"url"], [joined(pages.rows.column("url"))], mask)
        for asked in (every, every & ~(1 << _RAW), 1 << _RAW, 0b110)
    }
    for asked, bit in itertools.product(frames, range(len(DEFINED))):
        if not asked >> bit & 1:
            with pytest.raises(IndexError):
                frames[asked].of(bit)
            continue
        written, count = frames[asked].of(bit)
        kept = [at for at, variants in enumerate(expected.kept.tolist()) if variants >> bit & 1]
        kept = [at for at in kept if not mask[expected.rows[at]]]
        examples = [encode_example({"text": texts[at], "url": urls[expected.rows[at]]}) for at in kept]
        assert (written, count) == (b"".join(map(frame, examples)), len(kept))


@pytest.mark.parametrize(
    "change",
    [
        {"keys": [1]},
        {"positions": [1, 0], "lost": [1, 1]},
        {"positions": [0], "lost": []},
        {"running": [1 << 40, 0]},
        {"text": (b"ab", [1, 2])},
        {"text": (b"ab", [-1, 1])},
        {"text": (b"ab", [2])},
    ],
    ids=lambda change: "_".join(change),
)
def test_columns_that_do_not_go_together_are_refused(change):
    compiled, _ = judges("c4-3.1.0")
    given = {"text": (b"ab", [1, 1]), "raw": (b"", [0, 0]), "running": [1, 1], "keys": [1, 1], "positions": [], "lost": [], **change}  # fmt: skip
    texts = ((data, np.array(sizes, np.int32)) for data, sizes in (given["text"], given["raw"]))
    dtypes = {"running": np.uint64, "keys": np.uint32, "positions": np.uint32, "lost": np.uint64}
    numbers = (np.array(given[name], dtype) for name, dtype in dtypes.items())
    with pytest.raises(ValueError):
        core.Outcomes(compiled._steps.compiled, compiled._units, *texts, *numbers, 0, 5)


def parts_of(settings, inputs, folder) -> list[FilePart]:
    """Page files of the inputs, of which deduplication took something or other."""
    chosen, parts = np.random.default_rng(1), []
    variants = len(settings.variants)
    folder.mkdir()
    for number, source in enumerate(inputs):
        file = Cleaner(settings.clean).clean(source, str(folder / f"{number}.pages")).as_page_file(number)
        losses = np.zeros(file.rows // 4, loss_dtype(variants))
        losses["page"] = np.sort(chosen.choice(file.rows, len(losses), replace=False))
        repeats = np.zeros(file.keys // 3, repeat_dtype(variants))
        repeats["position"] = np.sort(chosen.choice(file.keys, len(repeats), replace=False))
        for gone in (losses, repeats):
            gone["variants"] = chosen.choice([1, 3, 0b11111, 0b11011], len(gone))
        parts.append(FilePart(file, losses, repeats))
    return parts


def moved(settings, out: Path):
    """The same settings, to write to a folder of its own."""
    settings = settings._replace(run=settings.run._replace(out=str(out)))
    for corpus in settings.corpora:
        Path(corpus.folder).mkdir(parents=True)
    return settings


@pytest.mark.parametrize(
    "options",
    [
        {"rules": "c4-3.1.0"},
        {"rules": "paper"},
        {"rules": "c4-3.1.0", "format": "jsonl", "provenance": True, "write_dropped": "jsonl"},
        {"rules": "c4-3.1.0", "format": "parquet"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_unit_has_the_same_files_by_the_compiled_rules_and_by_the_plain_ones(options, sources, tmp_path):
    request = sources.request(tmp_path / "out", shards=2, **options)
    prepared = prepare(request)
    settings = prepared.plan.finish
    parts = parts_of(settings, prepared.inputs, tmp_path / "pages")
    made = []
    for way in ("compiled", "plain"):
        finisher = Finisher(moved(settings, tmp_path / way))
        assert isinstance(finisher._judge, CompiledJudge)
        if way == "plain":
            rules = settings.clean.rules
            steps = PlainSteps(rules, settings.variants, settings.bad_words)
            finisher._judge = PlainJudge(rules, len(settings.variants), steps)
        results = [finisher.finish(unit, parts) for unit in range(2)]
        assert sum(result.validation["en.noclean"] for result in results) > 0
        assert all(sum(result.lengths[name] for result in results) > 0 for name in VARIANTS)
        assert sum(result.repeats["en"] for result in results) > 0
        files = [path for path in (tmp_path / way).rglob("*") if path.is_file()]
        made.append({str(path.relative_to(tmp_path / way)): path.read_bytes() for path in files})
    assert len(made[0]) >= 2 * (5 + 3)
    assert made[0] == made[1]


def test_pages_that_are_not_shown_would_become_no_samples(sources, tmp_path, monkeypatch):
    many = wet_files.write_wet(tmp_path / "many.warc.wet.gz", wet_files.pages(0, 1200))  # more than are looked at
    prepared = prepare(sources.request(tmp_path / "out", inputs=[many], rules="c4-3.1.0", shards=1, samples=500))
    settings = prepared.plan.finish
    parts = parts_of(settings, prepared.inputs, tmp_path / "pages")
    shown, samples, wanted = [], [], UnitSamples.wanted
    for which in (None, wanted, lambda self, pages, outcomes: pages.running != 0):

        def counted(self, pages, outcomes, which=which):
            shown.append(int(which(self, pages, outcomes).sum()))
            return which(self, pages, outcomes)

        monkeypatch.setattr(UnitSamples, "wanted", counted)
        own = moved(settings, tmp_path / str(len(samples)))
        finisher = Finisher(own)
        if which:  # else all is taken where it is compiled, and nothing shown
            judge = finisher._judge
            finisher._judge = lambda pages, judge=judge: judge(pages)._replace(take_samples=None)
        finisher.finish(0, parts)
        samples.append(Path(own.run.samples_file(0)).read_bytes())
    assert samples[0] == samples[1] == samples[2]
    some, every = shown
    assert some < every
