"""OUT in an object store: the bytes of a local build, few requests, nothing half written, and clear errors."""

import io
import itertools
import json
import os
import random
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from builds import shards
from command import Command, run_command
from corpus_folders import SHARD
from object_servers import BUCKET, disk_of_beam, serving_gcs, serving_s3

from c4build.corpora.c4 import prepare
from c4build.corpora.examples import Shard, read_shard
from c4build.corpora.options import Request
from c4build.errors import CorruptFileError, InUseError, OutputError, UsageError
from c4build.flow.local import run
from c4build.page import FEATURES
from c4build.read import attempts, hosts, stores
from c4build.read.finding import find_inputs
from c4build.read.hosts import Transport
from c4build.read.listing import list_objects
from c4build.sample.resources import sample_folder
from c4build.write import files, lease, objects
from c4build.write.folder import claim
from c4build.write.lock import lock, unlock
from c4build.write.shards import FORMATS
from c4build.write.tables import open_table, read_table

FAST = Transport(connect_timeout=20, read_timeout=20, tries=4, backoff=0.002, longest_wait=0.02)
LARGE = random.Random(1).randbytes(20_000_000)  # bytes: three parts
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def s3():
    """The S3 server, which is found by this process as well."""
    with serving_s3() as (server, environment), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        import boto3

        server.environment, server.client = environment, boto3.client("s3")
        server.client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture(scope="module")
def gcs():
    with serving_gcs() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        from google.cloud import storage

        storage.Client(project="test").create_bucket(BUCKET)
        yield environment


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch):
    monkeypatch.setattr(attempts, "DEFAULT", FAST)
    hosts.forget()
    stores.forget_stores()
    yield
    hosts.forget()
    stores.forget_stores()


@pytest.fixture
def out(s3) -> str:
    """A folder of the bucket that is this test's own; what is seen and what fails begins anew."""
    s3.fault = lambda request: ""
    s3.seen.clear()
    yield f"s3://{BUCKET}/{next(_NUMBERS)}"
    s3.fault = lambda request: ""


@pytest.fixture(params=["s3", "gs"])
def folder(request) -> str:
    """The same in each of the stores."""
    request.getfixturevalue({"s3": "s3", "gs": "gcs"}[request.param])
    return f"{request.param}://{BUCKET}/{next(_NUMBERS)}"


def write(path: str, data: bytes):
    with files.whole_file(path) as file:
        file.write(data)


def read(path: str) -> bytes:
    with files.open_file(path) as file:
        return file.read()


def in_turn(method: str, *faults: str):
    """Faults of the requests of a method one after another, then none."""
    left = iter(faults)
    return lambda request: next(left, "") if request.method == method else ""


def unfinished(s3) -> list:
    return s3.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


# Files


@pytest.mark.parametrize("size", (0, 5, objects.PART, objects.PART + 1, len(LARGE)))
def test_what_is_written_is_read(folder, size):
    sums = {}
    with files.whole_file(f"{folder}/a/x", sums) as file:
        for start in range(0, size, 3 << 20):
            file.write(LARGE[start : min(start + (3 << 20), size)])
    assert read(f"{folder}/a/x") == LARGE[:size]
    assert sums == {"x": files.sum_of(f"{folder}/a/x")} and sums["x"].bytes == size


def test_a_folder_is_listed_and_emptied_and_what_is_not_there_is_no_file(folder):
    for name in ("x", "y z%2F+ü", "a/x", "a/b/c/x", "ab/x"):
        write(f"{folder}/{name}", name.encode())
    assert files.list_files(folder) == {f"{folder}/x": 1, f"{folder}/y z%2F+ü": 9}
    assert files.list_folders(folder) == ["a", "ab"]
    assert files.list_folder(f"{folder}/none") == ({}, [])
    assert files.list_folder(f"{folder}/a/") == ({f"{folder}/a/x": 3}, ["b"])
    files.make_empty_folder(folder)
    assert files.list_folder(folder) == ({}, ["a", "ab"])
    files.delete(f"{folder}/x")
    assert (files.exists(f"{folder}/x"), files.exists(f"{folder}/a"), files.exists(f"{folder}/a/x")) == (
        False,
        False,
        True,
    )
    with pytest.raises(FileNotFoundError):
        files.open_file(f"{folder}/x")
    with pytest.raises(CorruptFileError, match="it is gone; run the same command again"), read_table(f"{folder}/x"):
        pass


def test_bytes_are_read_here_and_there(folder):
    write(f"{folder}/x", LARGE)
    choose = random.Random(4)
    with files.open_file(f"{folder}/x") as file:
        for _ in range(30):
            start = choose.choice((0, len(LARGE) - 300_000, choose.randrange(len(LARGE)), file.tell() + 100_000))
            size = choose.choice((0, 10, 200_000, 2_000_000))
            file.seek(start)
            assert file.read(size) == LARGE[start : start + size]
        assert file.seek(-7, io.SEEK_END) == len(LARGE) - 7 and file.read() == LARGE[-7:]


def test_what_is_not_written_to_its_end_is_not_there_and_what_was_stays(folder):
    write(f"{folder}/x", b"before")
    for size in (10, len(LARGE)):
        with pytest.raises(KeyboardInterrupt), files.whole_file(f"{folder}/x") as file:
            file.write(LARGE[:size])
            raise KeyboardInterrupt
        assert read(f"{folder}/x") == b"before" and len(files.list_files(folder)) == 1


def test_an_object_is_made_where_none_is_and_replaced_where_it_is_known(folder):
    first = objects.put(f"{folder}/x", b"1", "")
    assert first and objects.put(f"{folder}/x", b"2", "") is None and read(f"{folder}/x") == b"1"
    assert objects.put(f"{folder}/x", b"3", first) and objects.put(f"{folder}/x", b"4", first) is None
    assert read(f"{folder}/x") == b"3"


@pytest.mark.parametrize("name", FORMATS)
def test_shards_of_every_format_have_the_bytes_of_local_ones(out, tmp_path, name):
    examples = [{feature: f"{feature} {number}" for feature in FEATURES} for number in range(50)]
    sums: list[dict] = [{}, {}]
    for folder, found in zip((str(tmp_path), out), sums):
        with FORMATS[name].open(files.join(folder, "x"), FEATURES, found) as add:
            for example in examples:
                add(FORMATS[name].encode(example))
    assert read(f"{out}/x") == (tmp_path / "x").read_bytes()
    here, there = (list(read_shard(Shard(f"{folder}/x", "train", name, 0))) for folder in (tmp_path, out))
    assert here == there and [one["text"] for one in there] == [one["text"] for one in examples]
    assert sums[0] == sums[1] == {"x": files.sum_of(f"{out}/x")}


def test_inputs_are_found_by_globs_and_in_folders(folder):
    names = (
        "a/1.warc.wet.gz",
        "a/2.warc.wet.gz",
        "a/.3.warc.wet.gz",
        "a/4.txt",
        "a/b/5.WARC.wet.gz",
        "c/1.warc.wet.gz",
    )
    for name in names:
        write(f"{folder}/{name}", b"")

    def found(given: str) -> list[str]:
        return [source.path.removeprefix(f"{folder}/") for source in find_inputs([given])]

    assert found(f"{folder}/a/") == ["a/1.warc.wet.gz", "a/2.warc.wet.gz", "a/b/5.WARC.wet.gz"]
    assert found(f"{folder}/a/*.wet.gz") == ["a/1.warc.wet.gz", "a/2.warc.wet.gz"]
    assert found(f"{folder}/*/1.*") == ["a/1.warc.wet.gz", "c/1.warc.wet.gz"]
    assert found(f"{folder}/**/[15].*") == ["a/1.warc.wet.gz", "c/1.warc.wet.gz", "a/b/5.WARC.wet.gz"]
    with pytest.raises(UsageError, match="x-.*: no file matches"):
        found(f"{folder}/a/x-*")
    with pytest.raises(
        UsageError,
        match="gone/. cannot be listed: the server answers 404 Not Found.*; name the files, or give a list of paths",
    ):
        found(f"{folder.partition(':')[0]}://gone/*")


def test_what_only_beam_has_a_file_system_for_is_written_by_a_rename(tmp_path, monkeypatch):
    monkeypatch.setattr("apache_beam.io.filesystems.FileSystems._pipeline_options", None)  # as before any pipeline
    disk = disk_of_beam()  # Beam finds it as long as it is there
    folder = f"{disk.scheme()}://{tmp_path}"
    files.make_folder(f"{folder}/a/b")
    for data in (b"first", b"second"):
        write(f"{folder}/a/x", data)
        assert read(f"{folder}/a/x") == data
    with pytest.raises(KeyboardInterrupt), files.whole_file(f"{folder}/a/x") as file:
        file.write(b"third")
        raise KeyboardInterrupt
    write(f"{folder}/a/b/y.tmp-{'0' * 32}", b"")
    assert files.list_folder(f"{folder}/a") == ({f"{folder}/a/x": 6}, ["b"])
    files.sweep(folder)
    assert files.list_folder(f"{folder}/a/b") == ({}, []) and sorted(os.listdir(tmp_path / "a")) == ["b", "x"]
    files.delete(f"{folder}/a/x")
    with pytest.raises(FileNotFoundError):
        files.open_file(f"{folder}/a/x")


# Requests


def test_a_small_file_is_written_by_one_request_and_replaced_by_one(s3, out):
    for data in (b"first", LARGE[: objects.PART]):
        write(f"{out}/x", data)
    assert [seen.method for seen in s3.seen] == ["PUT", "PUT"]


def test_a_file_that_is_read_from_front_to_end_is_one_request(s3, out):
    write(f"{out}/x", LARGE)
    s3.seen.clear()
    with files.open_file(f"{out}/x") as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == LARGE
    assert [(seen.method, seen.range) for seen in s3.seen] == [("GET", "")]


@pytest.mark.parametrize("groups, requests", ((1, 1), (20, 2)))
def test_a_table_is_read_by_few_requests(s3, out, groups, requests):
    schema = pa.schema([("a", pa.binary()), ("b", pa.binary())])
    parts = [[pa.array([LARGE[k * 250_000 :][:250_000]]), pa.array([b"%d" % k])] for k in range(groups)]
    with open_table(f"{out}/x", schema) as table:
        for part in parts:
            table.write(part)
    s3.seen.clear()
    with read_table(f"{out}/x") as table:
        assert [table.read(k).columns for k in range(groups)] == parts
    assert len(s3.seen) == requests
    s3.seen.clear()
    with read_table(f"{out}/x") as table:  # what is left out is small
        assert [table.read(k, ["b"]).columns for k in range(groups)] == [part[1:] for part in parts]
    assert len(s3.seen) == requests


def test_a_folder_is_listed_by_a_request_a_thousand_names(s3, out):
    from moto.s3.models import s3_backends

    key = out.removeprefix(f"s3://{BUCKET}/")
    for number in range(1500):
        s3_backends["123456789012"]["aws"].put_object(BUCKET, f"{key}/{number}", b"x")
    assert len(files.list_files(out)) == 1500
    assert len(s3.seen) == 2


# Servers that fail


@pytest.mark.parametrize("faults", (["503", "429"], ["lost"], ["", "503", "lost"], ["", "", "500", "500"]))
@pytest.mark.parametrize("size", (5, len(LARGE)))
def test_a_request_to_write_that_fails_is_sent_again(s3, out, faults, size):
    s3.fault = in_turn("PUT", *faults)
    write(f"{out}/x", LARGE[:size])
    assert read(f"{out}/x") == LARGE[:size] and not unfinished(s3)


def test_parts_that_are_made_one_are_so_once_though_the_answer_is_lost(s3, out):
    s3.fault = in_turn("POST", "503", "", "lost", "503")
    write(f"{out}/x", LARGE)
    assert read(f"{out}/x") == LARGE and not unfinished(s3)


def test_a_store_that_stays_away_is_an_error_in_bounded_time_and_nothing_is_there(s3, out):
    for number, size in ((0, 5), (2, len(LARGE))):
        s3.fault = in_turn("PUT", *[""] * number, *["503"] * 99)
        with pytest.raises(
            OutputError, match=rf"^{out}/x cannot be written: the server answers 503 .* \(4 tries in a row\)$"
        ):
            write(f"{out}/x", LARGE[:size])
        assert files.list_files(out) == {} and not unfinished(s3)


def test_bodies_that_break_off_are_read_on(s3, out):
    write(f"{out}/x", LARGE)
    s3.fault = in_turn("GET", "cut", "503", "cut")
    assert read(f"{out}/x") == LARGE


def test_a_store_that_does_not_answer_is_no_reason_to_call_a_table_damaged(s3, out):
    with open_table(f"{out}/x", pa.schema([("a", pa.binary())])) as table:
        table.write([pa.array([LARGE[:3_000_000]])])
    for faults in (["503"] * 9, ["", "503", "503", "503", "503"], ["403"]):
        s3.fault = in_turn("GET", *faults)
        with pytest.raises(OutputError, match=f"^{out}/x cannot be (opened|read on): the server answers"):
            with read_table(f"{out}/x") as table:
                table.check()


def test_what_a_killed_process_left_of_an_upload_is_swept(s3, out):
    key = out.removeprefix(f"s3://{BUCKET}/")
    for name in (f"{key}/x", f"{key}/a/x", f"{key}0/x"):
        s3.client.create_multipart_upload(Bucket=BUCKET, Key=name)
    files.sweep(out)
    assert [upload["Key"] for upload in unfinished(s3)] == [f"{key}0/x"]
    files.sweep(f"{out}0")


def test_what_a_stopped_run_left_of_an_upload_ends_with_its_lock(s3, out):
    key = out.removeprefix(f"s3://{BUCKET}/")
    lock(f"{out}/.c4build", out)
    claim(f"{out}/c4/en/1.0.0", ["x"])
    for name in ("c4/en/1.0.0/x", ".c4build/pages/y", "theirs"):
        s3.client.create_multipart_upload(Bucket=BUCKET, Key=f"{key}/{name}")
    unlock(f"{out}/.c4build")
    assert [upload["Key"] for upload in unfinished(s3)] == [f"{key}/theirs"]
    files.sweep(out)


# What a person is told


def test_a_store_that_refuses_is_an_error_that_says_what_to_do(s3, out):
    s3.fault = lambda request: "403"
    told = f"give this machine credentials that may read, write and list in s3://{BUCKET}"
    for act in (lambda: write(f"{out}/x", b""), lambda: files.list_files(out), lambda: files.exists(f"{out}/x"), lambda: read(f"{out}/x")):  # fmt: skip
        with pytest.raises(
            OutputError, match=rf"^{out}\S* cannot be [\w ]+: the server answers 403 Forbidden.*; {told}$"
        ):
            act()


def test_a_bucket_that_is_not_there_is_named(folder):
    scheme = folder.partition(":")[0]
    for act in (lambda: write(f"{scheme}://gone/x", b""), lambda: files.list_files(f"{scheme}://gone")):
        with pytest.raises(OutputError, match=r"404 Not Found \(.*\): make the bucket gone, or name another$"):
            act()


def test_without_credentials_the_error_says_so(s3, out, monkeypatch, tmp_path):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"AWS_{name}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # which knows them still
    with pytest.raises(
        OutputError, match=rf"^{out}/x cannot be written: Unable to locate credentials; give this machine"
    ):
        write(f"{out}/x", b"")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    for scheme, package, extra in (("s3", "boto3", "s3"), ("gs", "google.cloud.storage", "gcp")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(UsageError, match=rf"{scheme}:// need pip install 'c4build\[{extra}\]'$"):
            files.list_files(f"{scheme}://x/y")


@pytest.mark.parametrize("path, told", (
    ("https://example.org/x", "nothing can be written there; give a folder, s3://BUCKET/... or gs://BUCKET/..."),
    ("nowhere://x", "Beam cannot use this file system (Unable to get filesystem"),
))  # fmt: skip
def test_what_cannot_be_written_to_is_said(path, told):
    with pytest.raises(UsageError) as caught:
        write(path, b"")
    assert str(caught.value).startswith(f"{path}: {told}")


# The lock


def test_a_folder_has_one_writer_at_a_time(folder):
    taken = lease.take(f"{folder}/lock", folder)
    told = rf"^{folder} is being written to by process {os.getpid()} on .*: wait for it, stop it, or give another --out"
    with pytest.raises(InUseError, match=told):
        lease.take(f"{folder}/lock", folder)
    taken.release()
    assert files.list_files(folder) == {}
    lease.take(f"{folder}/lock", folder).release()


def _gone() -> dict:
    """What says of a process that it has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {"pid": process.pid}


@pytest.mark.parametrize("changes, free", (
    (_gone, True),
    (lambda: {"started": 0}, True),  # another process has its number by now
    (lambda: {"node": "elsewhere"}, False),
    (lambda: {"node": "elsewhere", **_gone()}, False),
    (lambda: {"node": "elsewhere", "renewed": "2020-01-01T00:00:00+00:00"}, True),
    (lambda: {"renewed": "whenever"}, True),
))  # fmt: skip
def test_a_lock_is_free_where_its_process_is_gone_or_gives_no_sign_of_life(out, changes, free):
    taken = lease.take(f"{out}/lock", out)
    who = json.loads(read(f"{out}/lock"))
    taken.release()
    write(f"{out}/lock", json.dumps({**who, **changes()}).encode())
    if free:
        lease.take(f"{out}/lock", out).release()
    else:
        with pytest.raises(InUseError, match=r"is free 10 minutes after its last sign of life$"):
            lease.take(f"{out}/lock", out)


def test_a_lock_is_renewed_and_one_that_another_process_took_is_told_of(out, monkeypatch, capsys):
    monkeypatch.setattr(lease, "RENEWED", 0.05)
    taken = lease.take(f"{out}/lock", out)
    first = read(f"{out}/lock")
    _wait_until(lambda: read(f"{out}/lock") != first)
    write(f"{out}/lock", b"{}")
    _wait_until(lambda: "was taken by another process" in capsys.readouterr().err)
    taken.release()
    assert read(f"{out}/lock") == b"{}", "it is not this one's to delete"


def _wait_until(true):
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_lock_is_taken_though_the_answer_is_lost_and_there_is_none_where_there_can_be_none(s3, out):
    s3.fault = in_turn("PUT", "lost")
    lease.take(f"{out}/lock", out).release()
    for status in ("403", "501"):  # no leave to write; no conditions known
        s3.fault = in_turn("PUT", status)
        assert lease.take(f"{out}/lock", out) is None


# Builds


def options(out, *more) -> list:
    return [
        "build",
        sample_folder() / "sample.warc.wet.gz",
        "--out",
        out,
        "--shards",
        "2",
        "--rules",
        "c4-3.1.0",
        *more,
    ]


def build(out, *more, environment=None):
    done = run_command(*options(out, *more), environment=environment)
    assert (done.code, done.error_lines) == (0, []), done.err[-800:]
    return done


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> dict[str, bytes]:
    """The shards of a build on this machine."""
    folder = tmp_path_factory.mktemp("local")
    build(folder, "--workers", "1")
    return shards(folder)


def shards_in(out: str) -> dict[str, bytes]:
    folder = f"{out}/c4/en/3.1.0"
    paths = [path for path in files.list_files(folder) if SHARD.search(path)]
    return {path.removeprefix(f"{out}/"): read(path) for path in paths}


@pytest.mark.parametrize("workers", (1, pytest.param(2, marks=pytest.mark.slow)))
def test_a_build_in_s3_has_the_bytes_of_a_local_one(s3, out, local, workers):
    build(out, "--workers", workers, environment=s3.environment)
    assert shards_in(out) == local
    assert not unfinished(s3) and not [seen for seen in s3.seen if ".tmp-" in seen.path]
    assert "lock" not in {path.rpartition("/")[2] for path in files.list_files(f"{out}/.c4build")}
    if workers == 1:
        _run_again(s3, out)


def _run_again(s3, out: str):
    """The second run, a variant more, `verify` and `inspect`."""
    s3.seen.clear()
    assert "there already" in build(out, environment=s3.environment).out
    assert not [seen for seen in s3.seen if seen.method not in ("GET", "HEAD") and not seen.path.endswith("/lock")]
    s3.seen.clear()
    done = run_command(*options(out, "--variants", "en,en.noblocklist"), environment=s3.environment)
    assert (done.code, done.error_lines) == (0, ["c4build: en is there already"])
    page_files = [seen.method for seen in s3.seen if "/pages-" in seen.path and seen.path.endswith(".pages")]
    assert page_files and "PUT" not in page_files, "no input is read again"
    done = run_command("verify", out, environment=s3.environment)
    assert (done.code, len(done.out.splitlines())) == (0, 2), done.err
    assert run_command("inspect", f"{out}/c4/en", environment=s3.environment).code == 0
    shard = min(path for path in files.list_files(f"{out}/c4/en/3.1.0") if "-train" in path)
    data = read(shard)
    write(shard, data[:-1] + bytes([data[-1] ^ 1]))
    done = run_command("verify", out, environment=s3.environment)
    assert done.code == 1 and shard.rpartition("/")[2] in done.out + done.err


def test_a_build_in_google_cloud_storage_has_the_bytes_of_a_local_one_and_is_done_once(gcs, local):
    out = f"gs://{BUCKET}/{next(_NUMBERS)}"
    build(out, "--workers", 2, environment=gcs)
    assert shards_in(out) == local
    assert "there already" in build(out, environment=gcs).out
    assert run_command("verify", f"{out}/c4/en", environment=gcs).code == 0


def keys_in(out: str) -> dict[str, int]:
    return files.list_files(f"{out}/.c4build/keys")


def test_what_the_key_stages_made_is_found_by_the_next_run_in_a_store(s3, out, local):
    request = Request([str(sample_folder() / "sample.warc.wet.gz")], out, rules="c4-3.1.0", shards=2)

    def run_to_finish() -> set[str]:
        """A run that ends where the keys are done with; returns which files of keys it wrote."""
        s3.seen.clear()
        prepared = prepare(request)
        finish = prepared.plan.finish
        finish = finish._replace(run=finish.run._replace(format="no such format"))
        with pytest.raises(Exception, match="no such format"):
            run(prepared._replace(plan=prepared.plan._replace(finish=finish)))
        return {f"s3://{seen.path}" for seen in s3.seen if seen.method == "PUT" and "/keys/" in seen.path}

    made = run_to_finish()
    assert made == set(keys_in(out))
    assert {path.rpartition("/")[2].partition("-")[0] for path in made} == {"urls", "losses", "keys", "repeats", "cut"}
    victim = max(keys_in(out), key=keys_in(out).get)
    write(victim, read(victim)[:-1])
    assert run_to_finish() == {victim}
    data = read(victim)
    write(victim, bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(CorruptFileError, match=f"{victim}: .*; run the same command again"):
        run(prepare(request))
    run(prepare(request))
    assert shards_in(out) == local and keys_in(out) == {}


@pytest.mark.slow
@pytest.mark.parametrize("workers", (1, 2))
def test_a_build_in_a_store_that_is_killed_ten_times_has_the_bytes_of_a_local_one(request, folder, local, workers):
    s3 = request.getfixturevalue("s3") if folder.startswith("s3://") else None
    environment = s3.environment if s3 else request.getfixturevalue("gcs")
    choose, kills = random.Random(workers), 0
    while kills < 10:
        command = Command(*options(folder, "--workers", workers), environment=environment)
        time.sleep(choose.uniform(0.2, 3))
        kills += command.running()
        command.kill_group()
        if files.exists(f"{folder}/c4/en/3.1.0/c4build.json"):
            assert shards_in(folder) == local
            for path in list_objects(f"{folder}/", deep=True)[0]:
                files.delete(path)
    build(folder, "--workers", workers, environment=environment)
    assert shards_in(folder) == local
    assert not files.exists(f"{folder}/.c4build/lock") and not (s3 and unfinished(s3))
    assert not [path for path in list_objects(f"{folder}/", deep=True)[0] if ".tmp-" in path]
