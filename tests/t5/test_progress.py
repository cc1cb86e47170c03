"""What is said while a person waits, and what listens while processes train together."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest
from command import Command, run_command
from small import make_corpus

from c4build.t5.vocabulary import train_vocabulary

psutil = pytest.importorskip("psutil")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("said")
    make_corpus(folder / "c4", 60)
    return folder


def test_a_vocabulary_says_what_it_reads_and_when_sentencepiece_begins(folder):
    done = run_command("t5", "vocab", "c4", "c4", "--size", 90, "--out", "v.model", folder=folder)
    assert done.code == 0
    first, second = done.err.splitlines()
    assert first == "c4build: reading c4"
    assert re.fullmatch(
        r"c4build: [\d,]+ characters of 60 texts read; sentencepiece makes 90 pieces of them, which can take minutes",
        second,
    )


def test_a_long_sample_says_how_far_it_is(folder, monkeypatch):
    monkeypatch.setattr("c4build.t5.progress.EVERY", 0.0)
    monkeypatch.setattr("c4build.t5.vocabulary.Pace.__init__.__defaults__", (0.0,))
    said = []
    train_vocabulary([folder / "c4"], folder / "other.model", 90, characters=5000, say=said.append)
    assert any(re.fullmatch(r"[\d,]+ of 5,000 characters read", line) for line in said), said


def test_training_says_what_it_reads_and_when_the_first_step_is_done(folder):
    run_command("t5", "vocab", "c4", "--size", 90, "--out", "v.model", folder=folder)
    done = Command(
        "t5", "pretrain", "--corpus", "c4", "--vocab", "v.model", "--model", "mini", "--steps", 2, "--batch", 8, "--length", 32,
        "--set", "encoder_layers=1", "--set", "decoder_layers=1", "--out", "run", "--data", 1, folder=folder,
    ).finish(200)  # fmt: skip
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    patterns = [
        r"c4build: reading c4: 3 files", r"[\d,]+ parameters on 1 x .*, from step 1; reading the first batch",
        r"the first batch is there after .* s; compiling the step", r"step 1 is done after .* s, loss \d+\.\d+",
        r"step 2/2  loss .*",
    ]  # fmt: skip
    assert len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns):
        assert re.fullmatch(pattern, line), line


LISTEN = """
import json, sys
import numpy as np, psutil
from c4build.t5.cli import start_distributed
address, process = sys.argv[1:]
start_distributed(address, 2, int(process))
from jax.experimental import multihost_utils
assert multihost_utils.process_allgather(np.array([int(process)])).reshape(-1).tolist() == [0, 1]
print("listening", json.dumps([list(c.laddr) for c in psutil.Process().net_connections() if c.status == "LISTEN"]), flush=True)
import jax
jax.distributed.shutdown()
"""


def test_processes_that_train_together_listen_on_the_address_that_was_named_and_on_no_other():
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    ended, said = [], [""]
    for _ in range(3):  # another program may take the port first, and leave them waiting
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        children = [
            subprocess.Popen(
                [sys.executable, "-c", LISTEN, f"127.0.0.1:{port}", str(n)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
            )
            for n in range(2)
        ]  # fmt: skip
        try:
            ended = [child.communicate(timeout=60) for child in children]
        except subprocess.TimeoutExpired:
            for child in children:
                child.kill()
                child.communicate()
            continue
        said = [out for out, _ in ended]  # gloo says things too
        if all("listening" in out for out in said):
            break
    assert all("listening" in out for out in said), ended
    listening = [json.loads(re.search(r"^.*listening (.*)$", out, re.MULTILINE)[1]) for out in said]
    assert port in {socket_port for _, socket_port in listening[0]}
    for address, _ in [*listening[0], *listening[1]]:
        assert address.removeprefix("::ffff:").startswith("127."), listening
