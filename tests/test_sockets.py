"""Nothing that a command starts can be reached from the network, and what its workers are told by belongs to its owner."""

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest
import wet_files
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_artifact_api_pb2, beam_artifact_api_pb2_grpc, beam_runner_api_pb2
from command import Command, run_command

_SECONDS = 90


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two WET files that take a while to clean, and a word list."""
    folder = tmp_path_factory.mktemp("sockets")
    for number in range(2):
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", wet_files.pages(number * 600, 600))
    (folder / "bad.txt").write_text("blorptastic\n")
    return folder


def arguments(inputs, out, *more) -> list:
    return ["build", inputs, "--out", out, "--badwords", inputs / "bad.txt", "--variants", "en,en.noclean", *more]


def listening(pid: int) -> tuple[set[str], set[str], int]:
    """What a process and those that it started listen on, hosts and Unix sockets, and how many processes these are."""
    hosts, paths = set(), set()
    processes = [psutil.Process(pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        try:
            for found in process.net_connections("all"):
                if found.family == socket.AF_UNIX:
                    # A command as the tests start one is forked from a server, whose own socket it closes first of all.
                    paths |= {found.laddr} - {""} if "/pymp-" not in found.laddr else set()
                elif found.status == psutil.CONN_LISTEN or found.type == socket.SOCK_DGRAM:
                    hosts.add(found.laddr.ip)
        except psutil.NoSuchProcess:
            pass
    return hosts, paths, len(processes)


def watched(command: Command) -> tuple[set[str], set[str], int]:
    """The same, of a command up to its end."""
    hosts, paths, most = set(), set(), 0
    while command.running():
        try:
            more_hosts, more_paths, processes = listening(command.pid)
        except psutil.NoSuchProcess:
            break
        hosts, paths, most = hosts | more_hosts, paths | more_paths, max(most, processes)
        time.sleep(0.02)
    return hosts, paths, most


def test_two_workers_listen_on_one_unix_socket_and_on_no_port(inputs, tmp_path):
    command = Command(*arguments(inputs, tmp_path, "--workers", 2))
    hosts, paths, processes = watched(command)
    assert command.finish().code == 0
    assert processes >= 3
    assert hosts == set()
    (path,) = paths
    assert not Path(path).parent.exists()


def test_one_process_listens_on_nothing(inputs, tmp_path):
    command = Command(*arguments(inputs, tmp_path, "--workers", 1))
    hosts, paths, _ = watched(command)
    assert command.finish().code == 0
    assert (hosts, paths) == (set(), set())


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_workers_of_beams_own_that_would_listen_everywhere_are_refused(inputs, tmp_path, mode):
    done = run_command(*arguments(inputs, tmp_path, "--workers", 1, "--", "--direct_running_mode", mode))
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert done.error_lines[0].startswith("c4build: --direct_running_mode: ")


def addresses(command: Command) -> list[str]:
    """Where the workers of a command are spoken to, once there are any."""
    while command.running():
        children = psutil.Process(command.pid).children(recursive=True)
        _, paths, _ = listening(command.pid)
        connections = psutil.Process(command.pid).net_connections("tcp")
        ports = {found.laddr.port for found in connections if found.status == psutil.CONN_LISTEN}
        if len(children) >= 2 and (paths or ports):
            return [f"unix:{path}" for path in paths] + [f"localhost:{port}" for port in ports]
        time.sleep(0.02)
    raise AssertionError("it had no workers")


def test_no_file_is_handed_out_to_who_speaks_to_the_workers_socket(inputs, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("for my eyes only")
    command = Command(*arguments(inputs, tmp_path / "out", "--workers", 2))
    payload = beam_runner_api_pb2.ArtifactFilePayload(path=str(secret)).SerializeToString()
    artifact = beam_runner_api_pb2.ArtifactInformation(
        type_urn=common_urns.artifact_types.FILE.urn, type_payload=payload
    )
    refusals = []
    for address in addresses(command):
        stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(grpc.insecure_channel(address))
        try:
            parts = stub.GetArtifact(beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact), timeout=20)
            raise AssertionError(f"{address} gave {b''.join(part.data for part in parts)!r}")
        except grpc.RpcError as error:
            refusals.append(error.code())
    command.kill_group()
    assert refusals == [grpc.StatusCode.UNIMPLEMENTED]


def test_only_its_owner_may_reach_the_workers_socket(inputs, tmp_path):
    command = Command(*arguments(inputs, tmp_path, "--workers", 2))
    (address,) = addresses(command)
    folder = Path(address.removeprefix("unix:")).parent.stat()
    command.kill_group()
    assert stat.S_IMODE(folder.st_mode) == 0o700
    assert folder.st_uid == os.geteuid()


@pytest.mark.parametrize("name", ["a folder", "100%25 of it", "a" * 120])
def test_any_folder_for_temporary_files_will_do(inputs, tmp_path, name):
    (tmp_path / name).mkdir()
    done = run_command(
        *arguments(inputs, tmp_path / "out", "--workers", 2), environment={"TMPDIR": str(tmp_path / name)}
    )
    assert done.code == 0, done.err
    assert list((tmp_path / name).iterdir()) == []


def test_workers_take_no_modules_from_the_folder_that_a_command_is_run_in(inputs, tmp_path):
    for module in ("apache_beam", "json", "c4build"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'taken')!r}, 'w')")
    script = Path(sys.executable).with_name("c4build")
    command = [script, *map(str, arguments(inputs, tmp_path / "out", "--workers", 2))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_SECONDS)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "taken").exists()


def test_dask_as_a_build_starts_it_is_reached_from_this_machine_only(inputs, tmp_path):
    pytest.importorskip("dask.distributed")
    command = Command(*arguments(inputs, tmp_path, "--runner", "DaskRunner"))
    hosts, _, _ = watched(command)
    done = command.finish()
    assert done.code == 0, done.err
    assert hosts <= {"127.0.0.1", "::1"}
