"""`c4build plan`: a sample read for real, drawn on to all inputs; what it says, and what becomes of it when it is stopped."""

import itertools
import os
import random
import signal
import time
from contextlib import nullcontext

import numpy as np
import pytest
import wet_files
from builds import build
from command import Command, run_command
from faulty_server import serving

from c4build.corpora.options import Request
from c4build.corpora.plan import measure_sample, project
from c4build.errors import MissingInputsError, NothingReadError, UsageError
from c4build.flow.estimate import Projection, Whole
from c4build.flow.plan import FileCost, Level, Sample
from c4build.flow.prices import load_prices
from c4build.read.paths import Input


def plan(request: Request, number: int, seed: int = 0) -> dict:
    """What `c4build plan --json` says, but for the start, which is not measured."""
    measured = measure_sample(request, number, seed, nullcontext, lambda line: None)
    return project(measured, request, seed, 1, (0.0, 0.0), load_prices(None))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Six files, of 22 to 132 pages, in a folder; of these 2 to 12 are the same in all that have as many."""
    folder = tmp_path_factory.mktemp("several")
    for number in range(6):
        again = wet_files.pages(9000, 2 * (number + 1))
        pages = wet_files.pages(number * 200, 20 * (number + 1)) + again
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", pages)
    return folder


def test_a_sample_of_all_inputs_says_what_a_build_makes(sources, tmp_path):
    request = sources.request(tmp_path, rules="c4-3.1.0", shards=3)
    estimates, made = plan(request, 5)["estimates"], build(request)
    page_files = sum(path.stat().st_size for path in tmp_path.glob(".c4build/pages-*/part-*"))
    planned = estimates["bytes"]["kept as page files"]["value"]
    assert planned == pytest.approx(page_files, rel=0.01)  # they name their own paths
    for name, summary in made.items():
        kept = estimates["pages"][f"kept, {name}"]
        assert (kept["value"], kept["low"], kept["high"]) == pytest.approx((summary["kept"],) * 3), name
        written = sum(file["bytes"] for path, file in summary["files"].items() if "-train" in path)
        assert estimates["bytes"][f"written, {name}"]["value"] == pytest.approx(written), name
        assert estimates["pages"]["read"]["value"] == summary["pages"]


def test_the_seed_draws_the_sample_and_what_it_draws_is_projected_by_size(several):
    found = [plan(Request([str(several)], ""), 3, seed) for seed in (4, 5)]
    assert found[0]["sampled"] != found[1]["sampled"]
    pages = sum(22 * (number + 1) for number in range(6))
    for one in found:
        assert (one["inputs"], one["sample"], len(set(one["sampled"]))) == (6, 3, 3)
        read = one["estimates"]["pages"]["read"]
        assert read["value"] == pytest.approx(pages, rel=0.1) and read["low"] <= read["value"] <= read["high"]
        assert one["estimates"]["bytes"]["read"]["value"] == sum(path.stat().st_size for path in several.iterdir())
        kept = one["estimates"]["pages"]["kept, en"]
        assert kept["value"] == pytest.approx(20 * 21 + 12, rel=0.1)


@pytest.mark.parametrize("kind", ["words", "twins"])
def test_the_share_that_is_kept_lies_in_the_range_that_a_sample_gives(kind):
    choose, files, each = np.random.default_rng(3), 256, 400
    if kind == "words":  # as in a text: few are frequent, most are rare
        texts = np.minimum(choose.zipf(1.5, (files, each)), 10**9)
    else:  # a third is there twice, somewhere
        numbers = np.arange(files * each)
        texts = choose.permutation(np.where(numbers % 6 == 0, numbers + 1, numbers)).reshape(files, each)

    def kept(block: list[int]) -> np.ndarray:
        owner = {}
        for file in block:
            for text in texts[file].tolist():
                owner.setdefault(text, file)
        return np.array([sum(of == file for of in owner.values()) for file in block], float)

    nothing, levels = np.zeros(8), []
    for size in (1, 2, 4, 8):
        blocks = [list(range(first, first + size)) for first in range(0, 8, size)]
        counts = np.concatenate([kept(block) for block in blocks])
        others = np.full(8, 1000.0 * (size - 1))
        levels.append(Level(size, others, counts[:, None], counts[:, None], nothing, nothing, 0.0, nothing, nothing))
    costs = [FileCost(Input(f"{file}", 1000, ""), None, 0.0, 0.0, 0) for file in range(8)]
    whole = Whole(files, 1000 * files, 0, 0, 16, 16, 1, 10, 0.0, 0.0, True, False)
    of = Projection(Sample(["en"], costs, [], levels, 0.0), whole, 0)
    found, truth = of.interval(of.falling(lambda level: level.kept[:, 0])), kept(list(range(files))).sum()
    assert found.low <= truth <= found.high
    assert kind == "twins" or found.value == pytest.approx(truth, rel=0.15)


def test_what_is_printed_fits_80_columns_names_what_is_damaged_and_has_ones_own_prices(several, tmp_path):
    prices, cut = tmp_path / "prices.toml", tmp_path / "cut.warc.wet.gz"
    prices.write_text(
        '[mine]\nvcpu_hour = 3600\ngb_month = 0\nthousand_writes = { price = 1000, date = "2026-01" }\n'
        "thousand_reads = 0\negress_gb = 0\n"
    )
    cut.write_bytes((several / "part-5.warc.wet.gz").read_bytes()[:5000])
    asked = ("plan", several / "part-4.warc.wet.gz", cut, "--sample", 3, "--workers", 1, "--prices", prices)
    done = run_command(*asked, "--variants", "en.noblocklist,en", environment={"COLUMNS": "80"})
    assert done.code == 1 and max(map(len, done.out.splitlines())) <= 80
    assert done.error_lines[0] == "c4build: --sample 3: there are 2 inputs, so that all are read"
    assert done.error_lines[-1].startswith(f"damaged: {cut} at byte ")
    row = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in done.out.splitlines() if "│" in line}
    assert float(row["processors"].split()[0]) == pytest.approx(float(row["CPU s, all"]), abs=0.051)
    assert row["requests"] == f"{float(row['requests, writes to OUT']):.2f}"
    assert "Not known: what an engine adds" in done.out and "bytes written, en.noblocklist" in row


@pytest.mark.parametrize(
    "text, said",
    {
        "": "it has no prices",
        "a = ": "it is not TOML",
        "a = 1": "a is no table",
        "[a]\nvcpu_hour = 1": r"\[a\] gb_month must be a price",
        "[a]\nvcpu_hour = -1": r"\[a\] vcpu_hour must be a price",
        "[a]\nvcpu = 1": r"\[a\] has vcpu; there are vcpu_hour, ",
    }.items(),
)
def test_prices_that_are_none_are_refused(text, said, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        load_prices(str(path))


def test_the_packaged_prices_have_a_source_and_a_date():
    assert all(prices.date >= "2025" and prices.vcpu_hour > 0 for prices in load_prices(None))


@pytest.mark.parametrize(
    "options, said",
    [
        (["--sample", 0], "c4build: --sample 0: it must be 1 or more"),
        (["nowhere.wet.gz"], "c4build: nowhere.wet.gz: there is no such file or folder"),
    ],
)
def test_a_wrong_command_ends_as_in_build(options, said, several, tmp_path):
    done = run_command("plan", several, *options, folder=tmp_path, environment={"TMPDIR": str(tmp_path)})
    assert (done.code, done.err) == (2, said + "\n")
    assert not list(tmp_path.iterdir())


def test_only_the_sample_is_fetched_and_what_is_missing_of_it_is_told(several):
    files = {path.name: path.read_bytes() for path in sorted(several.iterdir())}
    with serving(files, lambda path: "404" if path == "part-3.warc.wet.gz" else "") as server:
        urls = [f"{server.url}/{name}" for name in files]
        seed = next(number for number in range(99) if 3 in random.Random(number).sample(range(6), 3))
        found = plan(Request(urls, ""), 3, seed)
        assert (found["inputs"], found["sample"]) == (6, 2)
        (missing,) = found["missing"]
        assert missing["input"] == urls[3] and missing["why"].startswith("cannot be opened: the server answers 404")
        asked = {f"{server.url}/{sent.path}" for sent in server.sent}
        assert asked - {urls[0], urls[3]} == set(found["sampled"]) - {urls[0]}  # at the start of the first is looked
        assert found["estimates"]["bytes"]["fetched"]["value"] == sum(map(len, files.values()))
        server.head_faults = itertools.repeat(404)
        found = plan(Request(urls, ""), 3, seed)
        mean = np.mean([len(files[path.rpartition("/")[2]]) for path in found["sampled"]])
        assert found["unknown_sizes"] == 6 and found["estimates"]["bytes"]["read"]["value"] == pytest.approx(6 * mean)
        server.fault = lambda path: "404"
        with pytest.raises(MissingInputsError, match="all 2 inputs of the sample could not be fetched"):
            plan(Request(urls, ""), 2)


def test_inputs_without_a_page_are_an_error(tmp_path):
    (tmp_path / "none.warc.wet.gz").write_bytes(b"")
    with pytest.raises(NothingReadError, match="none.warc.wet.gz"):
        plan(Request([str(tmp_path)], ""), 1)


def test_nothing_is_left_of_a_plan_that_is_stopped(several, tmp_path):
    command = Command("plan", several, "--sample", 6, environment={"TMPDIR": str(tmp_path)})
    while not list(tmp_path.glob("c4build-plan-*/out/.c4build")):
        assert command.running()
        time.sleep(0.005)
    os.kill(command.pid, signal.SIGINT)
    done = command.finish()
    assert done.code == 130 and done.err.endswith("c4build: interrupted; nothing is kept of the sample\n")
    assert not list(tmp_path.iterdir())
