"""What a person reads: nothing is cut off, nothing is a command to the terminal, one input is no inputs."""

import gzip
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import wet_files
from command import run_command

from c4build.commands.run_progress import duration
from c4build.commands.terminal import print_damages, print_outcome
from c4build.corpora.examples import newest_version
from c4build.errors import UsageError, counted, visible
from c4build.rules.tables import REASONS, RULE_SETS, VARIANTS
from c4build.write.shards import FORMATS

WIDTHS = (80, 120)


def all_commands() -> list[str]:
    """The command line itself, and each of its commands: "", "build", ..., "t5 vocab", ..."""
    import typer

    from c4build.commands.main import app

    def below(command, name: str) -> list[str]:
        inner = command.list_commands(None) if hasattr(command, "list_commands") else []
        return [
            name,
            *(found for one in inner for found in below(command.get_command(None, one), f"{name} {one}".strip())),
        ]

    return below(typer.main.get_command(app), "")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", all_commands())
def test_help_fits_the_screen_and_cuts_no_word(command, width):
    done = run_command(*command.split(), "--help", environment={"COLUMNS": str(width)})
    assert done.code == 0
    assert "…" not in done.out
    assert max(map(len, done.out.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_help_of_build_has_every_variant_rule_set_and_format_in_full(width):
    done = run_command("build", "--help", environment={"COLUMNS": str(width)})
    words = set(re.findall(r"[\w.-]*[\w-]", done.out))
    assert {*VARIANTS, *RULE_SETS, *FORMATS} <= words


def test_help_says_what_happens_by_default(tmp_path):
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", run_command("build", "--help", environment={"COLUMNS": "80"}).out).split())
    for words in (
        "by default one for each core",
        "by default as many as the size asks for",
        "by default the packaged one",
    ):
        assert words in said


def summaries(factor: int) -> dict[str, dict]:
    """What c4build.json of five variants says, with every reason, numbers times `factor`."""
    return {
        name: {
            "rules": RULE_SETS["paper"].to_json(),
            "pages": 1000 * factor,
            "dropped": {reason: number * factor for number, reason in enumerate(REASONS) if number},
            "kept": 700 * factor,
            "splits": {"train": 690 * factor, "validation": 10 * factor},
            "bytes": 123456 * factor,
            "repeats_removed": 27 * factor,
            "lines": {"read": 9 * factor, "kept": 5 * factor, "no_end_mark": 4 * factor},
            "folder": f"/corpora/c4/{name}/1.0.0",
            "damaged": [],
            "more_damaged": 0,
            "format": "tfrecord",
        }
        for name in VARIANTS
    }


PREPARED = SimpleNamespace(inputs=[None], plan=SimpleNamespace(run=SimpleNamespace(work="/corpora/.c4build")))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("factor", [1, 1_000_000], ids=["a sample", "a crawl"])
def test_the_table_has_every_name_and_number_in_full(width, factor, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    found = summaries(factor)
    print_outcome(found, PREPARED, 3)
    said = capsys.readouterr().out
    assert "…" not in said and max(map(len, said.splitlines())) <= width
    heads = [
        [cell.strip() for cell in line.strip("┃").split("┃")] for line in said.splitlines() if line.startswith("┃")
    ]
    assert [name for head in heads for name in head[1:]] == list(VARIANTS)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in said.splitlines() if line.startswith("│")]
    numbers = {}
    for row in rows:
        numbers.setdefault(row[0], []).extend(row[1:])
    one = found["en"]
    assert numbers["read"] == [f"{one['pages']:,}"] * 5 and numbers["bytes kept"] == [f"{one['bytes']:,}"] * 5
    for reason, count in one["dropped"].items():
        assert numbers["- " + reason.replace("_", " ")] == [f"{count:,}"] * 5
    assert width == 80 or len(heads) == 1


def test_the_table_says_what_is_counted_and_of_which_variants(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    print_outcome(summaries(1), PREPARED, 3)
    said = capsys.readouterr().out.splitlines()
    assert any(re.match(r"┃ pages +┃ +en ┃", line) for line in said)
    first, rest = (
        said.index("A page is counted under the first rule that takes it; the rules stand in their order."),
        said,
    )
    assert rest[first + 1] == (
        "lines, of the pages that came as far as the rules of lines in any of en, en.noblocklist, realnewslike, webtextlike: "
        "9 read; dropped: 4 no end mark; 5 kept"
    )
    assert rest[first + 2].startswith(
        "spans of 3 sentences removed as repeats: en 27, en.noblocklist 27, en.noclean 27, "
    )
    order = [line.split("│")[1].strip() for line in said if line.startswith("│ - ")]
    assert order.index("- bad words") < order.index("- duplicate url") < order.index("- nothing left")


def test_one_is_not_many():
    assert [counted(n, "inputs") for n in (0, 1, 2, 2000)] == ["0 inputs", "1 input", "2 inputs", "2,000 inputs"]


def test_durations():
    assert [duration(s) for s in (0.04, 5, 61, 3661.9)] == ["0 s", "5 s", "1:01", "1:01:01"]


HOSTILE = "\x1b]0;mine\x07\x1b[2Ja\r\nb\u202ec\x9bd\udc80"


def test_what_cannot_be_seen_is_made_visible():
    assert visible(HOSTILE) == r"\x1b]0;mine\x07\x1b[2Ja\r\nb\u202ec\x9bd\udc80"
    assert visible("Zürich 東京\u3000\xa0ok") == "Zürich 東京\u3000\xa0ok"
    assert visible("a\nb\tc\x1b", keep="\n\t") == "a\nb\tc\\x1b"


def harmless(text: str) -> bool:
    return all(char == "\n" or char.isprintable() for char in text)


def test_of_many_damages_twenty_are_printed_and_none_commands_the_terminal(capsys):
    damaged = [{"input": f"{HOSTILE}{n}", "offset": n, "what": HOSTILE} for n in range(45)]
    print_damages({"damaged": damaged, "more_damaged": 1000, "format": "parquet"})
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 21
    assert said[-1] == "damaged: and 1,025 more, of which the first are listed in _c4build.json"
    assert said[3] == rf"damaged: {visible(HOSTILE)}3 at byte 3: {visible(HOSTILE)}"


def test_a_damaged_input_of_a_hostile_name_is_named_harmlessly(tmp_path):
    path = tmp_path / "\x1b[31mred\n.warc.wet.gz"
    wet_files.write_wet(path, wet_files.pages(0, 3))
    path.write_bytes(path.read_bytes()[:-20])
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    done = run_command("build", path, "--out", tmp_path / "out", "--badwords", tmp_path / "bad.txt", "--workers", 1)
    assert done.code == 1 and len(done.error_lines) == 1
    assert harmless(done.out + done.err) and r"\x1b[31mred\n.warc.wet.gz" in done.err
    wrong = run_command("build", tmp_path / "\x1b[31mnone.wet.gz", "--out", tmp_path / "new")
    assert wrong.code == 2 and harmless(wrong.err) and r"\x1b[31mnone.wet.gz" in wrong.err


def test_inspect_shows_texts_and_urls_of_others_harmlessly(tmp_path):
    folder = tmp_path / "c4/en/1.0.0"
    folder.mkdir(parents=True)
    example = {"text": f"one\n{HOSTILE}", "timestamp": "2019", "url": f"http://x/{HOSTILE}"}
    with gzip.open(folder / "c4-train.00000-of-00001.json.gz", "wb") as file:
        file.write(json.dumps(example).encode() + b"\n")
    done = run_command("inspect", folder)
    assert done.code == 0 and harmless(done.out)
    assert r"url: http://x/\x1b]0;mine\x07" in done.out
    assert "1 example (1 train), 3 words, " in done.out
    assert "not complete" in done.out


NEAR = [
    (["biuld"], "'build'"),
    (["build", "x.wet.gz", "--out", "o", "--variant", "en"], "--variants"),
    (["build", "x.wet.gz", "--out", "o", "--fromat", "jsonl"], "--format"),
    (["inspct", "o"], "'inspect'"),
]


@pytest.mark.parametrize("line, near", NEAR, ids=[line[-1] for line, _ in NEAR])
def test_a_typing_error_is_answered_with_the_near_name(line, near):
    done = run_command(*line)
    assert done.code == 2 and near in done.err and "Traceback" not in done.err


def test_build_without_a_folder_says_what_to_give():
    done = run_command("build", "x.wet.gz")
    assert done.code == 2
    assert "Missing option '--out'. Folder for the corpora, as in --out corpora" in " ".join(done.err.split())


def test_without_a_command_help_is_shown():
    done = run_command()
    assert done.code in (0, 2) and "webtext-urls" in done.out + done.err


def test_a_file_name_that_the_terminal_cannot_write_is_no_failure(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "c4build.commands.main", "build", str(tmp_path / "東京.wet.gz"), "--out", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "\\u6771\\u4eac.wet.gz: there is no such file or folder" in done.stderr


@pytest.mark.parametrize("closed, said", [(">&-", 1), ("2>&-", 0), (">&- 2>&-", 0)])
def test_without_a_place_to_print_to_a_command_ends_as_with_one(tmp_path, closed, said):
    line = f"{shlex.join([sys.executable, '-m', 'c4build.commands.main', 'verify', str(tmp_path)])} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", said)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """(its folder, what the demo said on a terminal of 80 columns)."""
    out = tmp_path_factory.mktemp("demo") / "the demo"
    leader, follower = pty.openpty()
    said = bytearray()

    def read():
        try:
            while block := os.read(leader, 1 << 16):
                said.extend(block)
        except OSError:
            pass  # the other end is closed

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    line = [sys.executable, "-m", "c4build.commands.main", "demo", "--out", str(out)]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    done = subprocess.run(line, stdin=follower, stdout=follower, stderr=follower, timeout=200, env=environment)
    os.close(follower)
    reader.join(5)
    os.close(leader)
    assert done.returncode == 0, bytes(said).decode()
    return out, bytes(said).decode().replace("\r\n", "\n")


def test_the_demo_on_a_terminal_of_80_columns_cuts_no_name(demo):
    _, said = demo
    tables = "\n".join(line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said).splitlines() if line[:1] in "┃│")
    for name in (*VARIANTS, "- too few sentences left", "- not a news domain", "- language unknown"):
        assert f" {name} " in tables
    assert "…" not in tables


def test_after_the_demo_the_next_two_commands_are_printed_and_work(demo):
    out, said = demo
    look, build = [shlex.split(line) for line in said.splitlines() if line.startswith("  c4build ")]
    assert look == ["c4build", "inspect", f"{out}/c4/en"]
    done = run_command(*look[1:])
    assert done.code == 0 and done.out.startswith(f"{out}/c4/en/1.0.0: complete\n")
    import typer

    from c4build.commands.main import app

    command = typer.main.get_command(app).commands["build"]
    given = command.make_context("build", build[2:]).params
    assert (given["crawls"], given["limit"], given["out"]) in (
        (["CC-MAIN-2019-18"], 2, "corpora"),
        (("CC-MAIN-2019-18",), 2, "corpora"),
    )


def test_the_newest_version_is_taken_by_its_numbers(tmp_path):
    for version in ("1.9.0", "1.10.0"):
        (tmp_path / f"c4/en/{version}").mkdir(parents=True)
        (tmp_path / f"c4/en/{version}/c4-train.tfrecord-00000-of-00001").write_bytes(b"")
    (tmp_path / "c4/en/2.0.0").mkdir()  # under way
    assert newest_version(str(tmp_path / "c4/en")) == str(tmp_path / "c4/en/1.10.0")
    assert newest_version(str(tmp_path / "c4/en/1.9.0/")) == str(tmp_path / "c4/en/1.9.0/")
    assert newest_version(str(tmp_path / "c4")) == str(tmp_path / "c4/en/1.10.0")
    (tmp_path / "c4/en.noclean/1.0.0").mkdir(parents=True)
    (tmp_path / "c4/en.noclean/1.0.0/c4-train.tfrecord-00000-of-00001").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"several corpora lie below it, name one of them: .*/c4/en, .*/c4/en.noclean$"
    ):
        newest_version(str(tmp_path))


PROGRAMS = Path(__file__).parent.parent


def run_program(name: str, *arguments, **options) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", f"pipelines.{name}", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=PROGRAMS, timeout=200, **options)


@pytest.mark.parametrize("name", ["c4", "wikipedia", "books"])
def test_the_plain_beam_programs_end_with_2_and_one_line_where_the_command_is_wrong(name, tmp_path):
    done = run_program(name, tmp_path / "none", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"pipelines.{name}: {tmp_path}/none: ") and len(done.stderr.splitlines()) == 1


def test_the_plain_beam_program_says_what_the_command_says_and_ends_with_1_for_damage(tmp_path):
    path = tmp_path / "a.warc.wet.gz"
    wet_files.write_wet(path, wet_files.pages(0, 3))
    path.write_bytes(path.read_bytes()[:-20])
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    given = (path, "--badwords", tmp_path / "bad.txt", "--out")
    program = run_program("c4", *given, tmp_path / "a", env={**os.environ, "COLUMNS": "120"})
    command = run_command("build", *given, tmp_path / "b", "--workers", 1, environment={"COLUMNS": "120"})
    assert program.returncode == command.code == 1
    assert [line for line in program.stderr.splitlines() if line.startswith("damaged: ")] == command.error_lines
    said = program.stdout.replace(str(tmp_path / "a"), str(tmp_path / "b")).splitlines()
    assert [line for line in said if "1 input in" not in line] == [
        line for line in command.out.splitlines() if "1 input in" not in line
    ]
