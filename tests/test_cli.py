"""The command line: what it takes, what it says when it is wrong, and its exit codes."""

import gzip
import json
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wet_files
from builds import VARIANTS, shards
from command import run_command, run_installed

import c4build
from c4build.rules.tables import load_rules


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """A folder as a crawl lies on a server: three WET files of 4, 5 and 6 pages, lists of their paths, a word list."""
    root = tmp_path_factory.mktemp("crawl")
    folder = root / "crawl-data/wet"
    folder.mkdir(parents=True)
    names = []
    for number, count in enumerate((4, 5, 6)):
        names.append(f"crawl-data/wet/{number}.warc.wet.gz")
        wet_files.write_wet(root / names[-1], wet_files.pages(10 * number, count))
    (root / "wet.paths").write_text("".join(name + "\n" for name in names))
    (root / "wet.paths.gz").write_bytes(gzip.compress((root / "wet.paths").read_bytes()))
    (root / "bad.txt").write_text("blorptastic\n")
    return root


def build(crawl, out, *more, **options):
    return run_command("build", "--out", out, "--badwords", crawl / "bad.txt", "--workers", 1, *more, **options)


def summary(out, variant="en", version="1.0.0") -> dict:
    return json.loads(Path(out, "c4", variant, version, "c4build.json").read_text())


def test_the_installed_command_tells_its_version():
    done = run_installed("--version")
    assert (done.code, done.out, done.err) == (0, f"c4build {c4build.__version__}\n", "")
    command = [sys.executable, "-m", "c4build", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == done.out


def test_a_build_ends_with_0_and_a_table_of_what_came_of_it(sources, tmp_path):
    done = run_command("build", *sources.wet, *sources.options(), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])
    for variant in VARIANTS:
        said = summary(tmp_path, variant)
        assert f"{variant}: {tmp_path}/c4/{variant}/1.0.0" in done.out.splitlines()
        assert said["pages"] == said["kept"] + sum(said["dropped"].values()) == 93
    for row in ("read", "kept", "duplicate url", "bad words", "not in url list", "other language", "bytes"):
        assert row in done.out


WRONG = {
    "an unknown variant": (["--variants", "en,enn"], "no variant is called 'enn': there are en, en.noblocklist"),
    "no variant": (["--variants", ","], "name at least one variant"),
    "unknown rules": (["--rules", "papre"], "no rules called 'papre': give one of paper, paper-final, c4-3.1.0"),
    "rules that are not there": (["--rules", "no.toml"], "cannot read the rules no.toml: No such file"),
    "an unknown setting": (["--set", "min_sentence=3"], "no rule is called 'min_sentence': there are"),
    "a setting without a value": (["--set", "min_sentences"], "--set min_sentences: write it as name=value"),
    "a setting of another type": (["--set", "min_sentences=few"], "min_sentences = 'few': it must be int, as in 5"),
    "a setting too small": (["--set", "min_sentences=0"], "min_sentences = 0: it is too small"),
    "an unknown choice": (["--set", "records=cdx"], "records = 'cdx': it must be one of warc, tfds"),
    "an unknown step": (["--set", 'before=["lines","words"]'], "before: no step is called 'words'"),
    "a probability over 1": (["--set", "min_language_probability=1.5"], "min_language_probability lies between 0 and 1"),
    "a version that is none": (["--set", "version=new"], "version = 'new': TFDS wants three numbers"),
    "no list of domains": (["--variants", "realnewslike"], "realnewslike needs the news domains: give --realnews-domains"),
    "a list of domains that is not there": (
        ["--variants", "realnewslike", "--realnews-domains", "none.json"], "--realnews-domains none.json: cannot be opened"
    ),
    "a list of domains that is none": (
        ["--variants", "realnewslike", "--realnews-domains", "bad.txt"], "--realnews-domains bad.txt: "
    ),
    "no list of URLs": (["--variants", "webtextlike"], "webtextlike needs the URLs shared on Reddit: give --webtext-urls"),
    "a list of URLs that is not there": (
        ["--variants", "webtextlike", "--webtext-urls", "none.txt"], "--webtext-urls none.txt: there is no such file"
    ),
    "bad words that are not there": (["--badwords", "none.txt"], "--badwords none.txt: cannot be opened: No such file"),
    "no bad words": (["--badwords", "empty.txt"], "--badwords empty.txt: it holds no words"),
    "an unknown format": (["--format", "csv"], "--format csv: there are tfrecord, array_record, jsonl, parquet"),
    "no shards": (["--shards", "0"], "--shards 0: it must be 1 or more"),
    "no workers": (["--workers", "0"], "--workers 0: it must be 1 or more"),
    "no files": (["--limit", "0"], "--limit 0: it must be 1 or more"),
    "no connections": (["--max-connections", "0"], "--max-connections 0: it must be 1 or more"),
    "an unknown archive": (["--from", "ftp"], "--from ftp: there are https, s3"),
    "a number of missing inputs that is none": (["--allow-missing", "few"], "--allow-missing few: give a number of files, as"),
    "an unknown runner": (["--runner", "FastRunner"], "--runner FastRunner: "),
    "a crawl that is none": (["--crawl", "2019-18"], "--crawl 2019-18: crawls are named as in CC-MAIN-2019-18"),
    "an input that is not there": (["none.wet.gz"], "none.wet.gz: there is no such file or folder"),
    "a glob that matches nothing": (["none-*.wet.gz"], "none-*.wet.gz: no file matches"),
    "a folder without WET files": (["hollow"], "hollow: no file in this folder ends in .wet.gz or .wet"),
    "a list of paths that is not there": (["none/wet.paths"], "none/wet.paths: cannot be read as a list of paths"),
    "an empty list of paths": (["void.paths"], "void.paths: this list of paths is empty"),
    "a list that names a missing file": (["wrong.paths"], "gone.wet.gz: a list of paths in "),
    "an address of no known kind": (["ftpx://host/a.wet.gz"], "ftpx://host/a.wet.gz: addresses that start with ftpx://"),
}  # fmt: skip


@pytest.mark.parametrize("options, said", WRONG.values(), ids=WRONG)
def test_a_wrong_command_ends_with_2_and_one_line_before_any_work(crawl, tmp_path, options, said):
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "void.paths").write_text("\n")
    (tmp_path / "wrong.paths").write_text("gone.wet.gz\n")
    (tmp_path / "hollow").mkdir()
    named = options if not options[0].startswith("-") else [crawl / "crawl-data/wet", *options]
    words = [] if "--badwords" in options else ["--badwords", "bad.txt"]
    done = run_command("build", *named, "--out", "out", *words, folder=tmp_path)
    assert (done.code, len(done.error_lines)) == (2, 1), done.err
    assert done.error_lines[0].startswith(f"c4build: {said}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "line", [["build"], ["build", "x.wet.gz"], ["build", "--shards", "few"], ["biuld"], ["build", "--fast"]]
)
def test_what_is_no_command_at_all_ends_with_2(line):
    done = run_command(*line)
    assert done.code == 2
    assert "Traceback" not in done.err and "Error" in done.err


def test_no_input_at_all_ends_with_2(tmp_path):
    done = run_command("build", "--out", tmp_path / "out")
    assert (done.code, done.err) == (2, "c4build: no input: name WET files, a folder, a list of paths, or --crawl\n")


def test_a_format_whose_package_is_missing_ends_with_2(crawl, tmp_path):
    code = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'array_record' else f(n, *a)"
    (tmp_path / "sitecustomize.py").write_text(code)
    import subprocess
    import sys

    line = [
        sys.executable,
        "-m",
        "c4build.commands.main",
        "build",
        str(crawl),
        "--out",
        str(tmp_path / "out"),
        "--format",
        "array_record",
    ]
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (
        2, "c4build: --format array_record needs a package: pip install 'c4build[array-record]'\n"
    )  # fmt: skip


def test_invalid_toml_and_unknown_bases_are_named(crawl, tmp_path):
    (tmp_path / "broken.toml").write_text("min_sentences = \n")
    (tmp_path / "based.toml").write_text('base = "pile"\n')
    for name, said in (
        ("broken.toml", "broken.toml is not valid TOML: "),
        ("based.toml", "based.toml: base = 'pile' is not one of paper, paper-final, c4-3.1.0"),
    ):
        done = build(crawl, tmp_path / "out", crawl, "--rules", tmp_path / name)
        assert (done.code, len(done.error_lines)) == (2, 1)
        assert done.error_lines[0].startswith(f"c4build: {tmp_path}/{said}")


def test_another_corpus_in_the_folder_is_overwritten_only_when_told_so(crawl, tmp_path):
    wet = crawl / "crawl-data/wet"
    assert build(crawl, tmp_path, wet / "0.warc.wet.gz").code == 0
    before = shards(tmp_path)
    done = build(crawl, tmp_path, wet)
    assert done.code == 2
    assert done.error_lines == [
        f"c4build: {tmp_path}/c4/en/1.0.0 holds a corpus with shards = 1, not 3, other inputs: 2 added "
        f"({wet}/1.warc.wet.gz, ...): give another --out, or --overwrite"
    ]
    assert shards(tmp_path) == before
    assert build(crawl, tmp_path, wet, "--overwrite").code == 0
    assert summary(tmp_path)["kept"] == 15


def test_a_corpus_that_is_there_already_is_left_alone(crawl, tmp_path):
    assert build(crawl, tmp_path, crawl).code == 0

    def files() -> dict:
        """When each was written, but for the lock, which says who looked last."""
        found = [path for path in tmp_path.rglob("*") if path.is_file() and path != tmp_path / ".c4build/lock"]
        return {path: path.stat().st_mtime_ns for path in found}

    before = files()
    done = build(crawl, tmp_path, crawl)
    assert done.code == 0
    assert done.out.splitlines()[0] == "c4build: this very corpus is there already; nothing was done"
    assert files() == before


WAYS = {
    "files": ["crawl-data/wet/0.warc.wet.gz", "crawl-data/wet/2.warc.wet.gz"],
    "the same file twice": ["crawl-data/wet/0.warc.wet.gz", "crawl-data/wet/../wet/0.warc.wet.gz"],
    "a glob": ["crawl-data/wet/[12].warc.wet.gz"],
    "a glob through folders": ["**/*.wet.gz"],
    "a folder": ["."],
    "a list of paths": ["wet.paths"],
    "a packed list of paths": ["wet.paths.gz"],
    "the first two of a list": ["wet.paths", "--limit", "2"],
}


@pytest.mark.parametrize(
    "way, read",
    [
        (WAYS[name], read)
        for name, read in zip(WAYS, ([0, 2], [0], [1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1]))
    ],
    ids=WAYS,
)
def test_inputs_are_named_in_many_ways(crawl, tmp_path, way, read):
    done = build(crawl, tmp_path, *way, folder=crawl)
    assert (done.code, done.error_lines) == (0, [])
    inputs = summary(tmp_path)["inputs"]
    assert [Path(source["path"]).name for source in inputs] == [f"{number}.warc.wet.gz" for number in read]
    assert [source["pages"] for source in inputs] == [4 + number for number in read]
    sizes = [(crawl / f"crawl-data/wet/{number}.warc.wet.gz").stat().st_size for number in read]
    assert [source["bytes"] for source in inputs] == sizes


def test_set_changes_one_rule_and_its_name(crawl, tmp_path):
    # Pages have 8 lines, every fifth 12: at 10 sentences only pages 0, 10, 20 and 25 stay.
    assert build(crawl, tmp_path, crawl, "--set", "min_sentences=10").code == 0
    version = load_rules("paper", ("min_sentences=10",)).version
    said = summary(tmp_path, version=version)
    assert (said["kept"], said["dropped"]) == (4, {"too_few_sentences": 11})
    assert version != "1.0.0" and build(crawl, tmp_path, crawl).code == 0  # beside it
    assert (said["rules"]["name"], said["rules"]["min_sentences"]) == ("paper+", 10)


def test_a_toml_file_changes_what_it_names_and_set_goes_over_it(crawl, tmp_path):
    rules = tmp_path / "mine.toml"
    rules.write_text('base = "paper-final"\nname = "mine"\nversion = "2.0.1"\nmin_sentences = 13\nend_marks = ["."]\n')
    assert build(crawl, tmp_path / "a", crawl, "--rules", rules).code == 0
    said = summary(tmp_path / "a", version="2.0.1")
    assert (said["kept"], said["rules"]["name"], said["rules"]["remove_citations"]) == (0, "mine", True)
    assert build(crawl, tmp_path / "b", crawl, "--rules", rules, "--set", "min_sentences=12").code == 0
    assert summary(tmp_path / "b", version="2.0.1")["kept"] == 4


class _Server(SimpleHTTPRequestHandler):
    """Serves a folder; a file in `cut` is sent by half, and then the connection ends."""

    cut: set[str] = set()

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if path.name not in self.cut:
            return super().do_GET()
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


@pytest.fixture
def server(crawl):
    _Server.cut = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, directory=str(crawl))) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_inputs_are_read_over_http(crawl, server, tmp_path):
    files = [f"{server}/crawl-data/wet/{number}.warc.wet.gz" for number in range(3)]
    done = build(crawl, tmp_path / "remote", *files)
    assert (done.code, done.error_lines) == (0, [])
    assert build(crawl, tmp_path / "local", crawl).code == 0
    assert shards(tmp_path / "remote") == shards(tmp_path / "local")


def test_a_list_of_paths_is_read_over_http(crawl, server, tmp_path):
    (crawl / "addresses.paths").write_text(f"{server}/crawl-data/wet/1.warc.wet.gz\n")
    assert build(crawl, tmp_path, f"{server}/addresses.paths").code == 0
    assert [source["pages"] for source in summary(tmp_path)["inputs"]] == [5]


@pytest.mark.slow  # half a minute of waiting between six tries
def test_a_cut_connection_is_named_and_the_next_run_tries_again(crawl, server, tmp_path):
    files = [f"{server}/crawl-data/wet/{number}.warc.wet.gz" for number in range(3)]
    _Server.cut = {"1.warc.wet.gz"}
    done = build(crawl, tmp_path / "out", *files)
    assert done.code == 1
    (line,) = done.error_lines
    assert line.startswith(f"c4build: 1 of 3 inputs could not be fetched ({files[1]}: cannot be read on")
    _Server.cut = set()
    done = build(crawl, tmp_path / "out", *files)
    assert (done.code, done.error_lines) == (0, [])
    assert summary(tmp_path / "out")["kept"] == 15
    assert build(crawl, tmp_path / "local", crawl).code == 0
    assert shards(tmp_path / "out") == shards(tmp_path / "local")


def test_an_input_that_the_server_has_not_is_named_and_the_others_come_through(crawl, server, tmp_path):
    files = [f"{server}/crawl-data/wet/{name}.warc.wet.gz" for name in ("0", "gone", "2")]
    done = build(crawl, tmp_path, *files, "--allow-missing", 1)
    assert done.code == 1
    assert len(done.error_lines) == 2 and done.error_lines[0].startswith(f"missing: {files[1]}: cannot be opened")
    assert "404" in done.error_lines[0]
    assert summary(tmp_path)["kept"] == 10


def test_inputs_are_read_from_s3(crawl, tmp_path):
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="crawl")
        for number in range(3):
            client.upload_file(
                str(crawl / f"crawl-data/wet/{number}.warc.wet.gz"), "crawl", f"wet/{number}.warc.wet.gz"
            )
        files = [f"s3://crawl/wet/{number}.warc.wet.gz" for number in range(3)]
        done = build(crawl, tmp_path / "s3", *files, environment={**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}"})
    finally:
        server.stop()
    assert (done.code, done.error_lines) == (0, [])
    assert build(crawl, tmp_path / "local", crawl).code == 0
    assert shards(tmp_path / "s3") == shards(tmp_path / "local")


def test_an_interrupt_that_comes_while_an_object_is_taken_down_is_not_lost():
    """Python ends exceptions there: a command would go on as if nobody had pressed Ctrl-C."""
    code = """
import os, signal, time
from c4build.commands.main import end_with

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever runs the tests may ignore it

class Going:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

def command():
    going = Going()
    del going
    time.sleep(60)
    return 0

end_with(command)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "\nc4build: interrupted; run the same command again and it goes on from here\n"
