"""The site builds strictly and fetches nothing; the commands and snippets of README.md and docs/ run, page by page.

A block of bash or Python is run, in order, in a folder of its page, unless a comment before it says why not:
`<!-- not run: needs the network -->`. A block of TOML that begins with `# NAME.toml` is written to that file. Blocks without a
language are not run, nor are commands with OUT, INPUT, HOST or KIT in them, which are forms of commands.
"""

import glob
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from command import run_command

from c4build.sample.resources import sample_folder

ROOT = Path(__file__).parent.parent
OPTIONAL = ("torch",)  # too large for the tests' environment
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
TRAINER = "docs/trainer.md"  # what it tells people to type takes minutes and more: tests/t5 does it
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>bash|python|toml)\n(?P<code>.*?)^```$", re.M | re.S
)
_PLACEHOLDER = re.compile(r"\b(OUT|INPUT|HOST|KIT)\b")
_SHELL = re.compile(r"[|&;<>$`]")


class Block(NamedTuple):
    language: str
    code: str
    why_not: str | None


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    return [Block(found["language"], found["code"], found["why"]) for found in _BLOCK.finditer(text)]


def commands(code: str) -> list[str]:
    """The commands of a bash block: lines, and what they go on with after a backslash; without remarks."""
    joined = code.replace("\\\n", " ")
    return [line for line in (line.strip() for line in joined.splitlines()) if line and not line.startswith("#")]


def run_line(line: str, folder: Path):
    """Runs one command: `c4build` in a process that is forked, for speed, everything else in bash."""
    if line.startswith("pip install") or _PLACEHOLDER.search(line):
        return  # the tests' environment has it;  it is the form of a command, and none
    words = shlex.split(line, comments=True)
    if words[0] != "c4build" or _SHELL.search(line.partition("  #")[0]):
        done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, env=environment(folder))
        assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
        return
    arguments = [found for word in words[1:] for found in sorted(glob.glob(word, root_dir=folder)) or [word]]
    if words[1] == "build" and "--workers" not in words:
        arguments += ["--workers", "1"]  # sooner done than more are started
    done = run_command(*arguments, folder=folder)
    assert done.code == 0, f"{line}\n{done.err[-2000:]}"


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}


def prepare(folder: Path):
    """What the pages take as given: WET files of a crawl, and a text."""
    wet = sample_folder() / "sample.warc.wet.gz"
    for name in ("CC-MAIN-20190418101243-20190418123243-00000.warc.wet.gz", "sample.warc.wet.gz"):
        shutil.copy(wet, folder / name)
    (folder / "page.txt").write_text("The river was quiet when we came back from the long walk.\n")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != TRAINER and any(not block.why_not for block in blocks(page))]
)
def test_what_a_page_tells_people_to_type_works(page, tmp_path):
    prepare(tmp_path)
    left_out = set()
    for language, group in itertools.groupby(
        (block for block in blocks(page) if not block.why_not), lambda block: block.language
    ):
        if language == "python":
            left_out |= run_python([block.code for block in group], tmp_path)
            continue
        for block in group:
            if language == "bash":
                for line in commands(block.code):
                    run_line(line, tmp_path)
            elif name := re.match(r"# (\S+\.toml)\n", block.code):
                (tmp_path / name[1]).write_text(block.code)
    if left_out:
        pytest.skip(f"all was run but what needs {', '.join(sorted(left_out))}, which is not installed")


def run_python(snippets: list[str], folder: Path) -> set[str]:
    """Runs each in one process, for speed, with names of its own; returns what is not installed, whose snippets are left out."""
    missing = {name for name in OPTIONAL if not find_spec(name)}
    needed = [{name for name in missing if f"from {name}" in code} for code in snippets]
    run = json.dumps([code for code, names in zip(snippets, needed) if not names])
    code = f"import json\nfor code in json.loads({run!r}):\n    print(code, flush=True)\n    exec(code, {{}})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(folder))
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return set().union(*needed)


def test_commands_and_snippets_are_written_as_those_that_are_run():
    named = {language for page in PAGES for language in re.findall(r"^ *```(\w+)", (ROOT / page).read_text(), re.M)}
    assert named <= {"bash", "python", "toml", "dockerfile"}


class Site(HTMLParser):
    """The ids of a page, and what a browser fetches to show it."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.fetched: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.ids |= {named["id"]} if named.get("id") else set()
        if tag in ("script", "img", "iframe", "source", "link"):
            self.fetched += [value for name, value in attributes if name in ("src", "href") and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site. With --strict a dead link, a dead anchor or a page that stands nowhere ends the build."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_strictly_and_fetches_nothing_from_elsewhere(site):
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    assert len(pages) == len(PAGES) - 1
    fetched = {address for path in pages for address in Site(path).fetched}
    assert {
        address for address in fetched if re.match(r"(\w+:)?//", address) and not address.startswith("data:")
    } == set()
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?(https?:)?//", styles)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "badwords/README.md"])
def test_links_between_files_of_the_repository_lead_somewhere(page, site):
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)]+)\)", (ROOT / page).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in Site((site / path.removeprefix("docs/")).with_suffix(".html")).ids, f"{page}: {link}"
