"""Files of a run that have changed since they were written: the numbers of before, or one clear line. Never others."""

import json
import random
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import make_corpus, make_vocabulary

from c4build.errors import C4BuildError, DamageError, UsageError
from c4build.t5 import digests, hf
from c4build.t5.checkpoint import Checkpoints, flatten, load_parameters, model_graph, read_run, write_run
from c4build.t5.config import model_config
from c4build.t5.log import Log, read_metrics
from c4build.t5.model import T5
from c4build.t5.optimizer import adafactor, constant
from c4build.t5.sharding import make_mesh
from c4build.t5.step import state_shardings
from c4build.t5.train import to_host
from c4build.t5.vocabulary import Vocabulary


def flip(path: Path, rng):
    data = bytearray(path.read_bytes())
    if not data:
        return False
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, rng):
    data = path.read_bytes()
    if not data:
        return False
    path.write_bytes(data[: rng.randrange(len(data))])


def lengthen(path: Path, rng):
    path.write_bytes(path.read_bytes() + b"\0")


def delete(path: Path, rng):
    path.unlink()


HARM = [flip, cut, lengthen, delete]


def files_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def state_of(number: float) -> dict:
    """Enough arrays, of enough numbers, that orbax writes several files."""
    rng = np.random.default_rng(int(number))
    return {
        "params": {name: jnp.asarray(rng.normal(size=(40, 50)), jnp.float32) for name in "abc"},
        "step": jnp.asarray(number),
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the checkpoints 1 and 2."""
    folder = tmp_path_factory.mktemp("kept") / "checkpoints"
    checkpoints = Checkpoints(folder)
    for step in (1, 2):
        checkpoints.save(step, state_of(step), {"0": {"place": step}})
    checkpoints.close()
    return folder


def same(left, right) -> bool:
    left, right = flatten(left), flatten(right)
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def restored(folder):
    """The step whose numbers come out of a folder; None with a line where none does."""
    checkpoints = Checkpoints(folder)
    try:
        found = checkpoints.restore(state_of(0))
    except C4BuildError as error:
        assert not isinstance(error, (UsageError, DamageError))  # these end with 2 and 1
        assert "\n" not in str(error)
        return None, str(error)
    finally:
        checkpoints.close()
    state, data = found[:2]
    step = next((step for step in (1, 2) if same(state, state_of(step))), "other numbers")
    assert data == {"0": {"place": step}}, data
    return step, None


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_a_checkpoint_that_changed_is_passed_over_for_the_one_before(kept, tmp_path, harm, capsys):
    rng = random.Random(0)
    names = files_of(kept / "2")
    assert len(names) > 5
    for name in names:
        folder = tmp_path / "copy"
        shutil.copytree(kept, folder)
        if harm(folder / "2" / name, rng) is False:
            shutil.rmtree(folder)
            continue
        step, error = restored(folder)
        assert step == 1, (name, step, error)
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and f"{folder / '2'}" in said[0] and "step 1" in said[0], said
        shutil.rmtree(folder)


def test_files_swapped_between_checkpoints_or_within_one_are_noticed(kept, tmp_path, capsys):
    names = [name for name in files_of(kept / "2") if (kept / "2" / name).stat().st_size]
    for a, b in zip(names, names[1:] + names[:1]):
        one, two = (kept / "2" / name for name in (a, b))
        if one.read_bytes() == two.read_bytes():
            continue
        folder = tmp_path / "copy"
        shutil.copytree(kept, folder)
        shutil.copyfile(one, folder / "2" / b)
        shutil.copyfile(two, folder / "2" / a)
        assert restored(folder)[0] == 1, (a, b)
        shutil.rmtree(folder)
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    shutil.rmtree(folder / "2")
    shutil.copytree(kept / "1", folder / "2")  # a whole checkpoint under another's name
    assert restored(folder)[0] == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"c4build: {folder / '2'} is the checkpoint of step 1:")


def test_where_no_checkpoint_verifies_the_run_ends_with_a_line(kept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    for step in (1, 2):
        next((folder / str(step)).rglob("d/*")).write_bytes(b"x")
    step, error = restored(folder)
    assert step is None and error.startswith(f"{folder}: no checkpoint verifies (") and "delete" in error


def test_a_checkpoint_asked_for_by_its_step_is_not_exchanged_for_another(kept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    next((folder / "2").rglob("d/*")).write_bytes(b"x")
    checkpoints = Checkpoints(folder)
    with pytest.raises(C4BuildError, match=r"bytes, not \d+: take it from a copy, or name another step"):
        checkpoints.parameters(2)
    assert checkpoints.parameters().keys() == {"a", "b", "c"}
    checkpoints.close()


def test_a_checkpoint_counts_from_its_digest_on(kept, tmp_path):
    """What a kill leaves while a checkpoint is written is no checkpoint, and is cleared away by the next."""
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    (folder / "2").rename(folder / "2.part")
    (folder / "2.part" / "digest.json").unlink()
    checkpoints = Checkpoints(folder)
    assert checkpoints.latest() == 1
    checkpoints.save(3, state_of(3))
    checkpoints.close()
    assert sorted(path.name for path in folder.iterdir()) == ["1", "3"]
    assert (folder / "3" / "digest.json").stat().st_mtime_ns >= max(
        path.stat().st_mtime_ns for path in (folder / "3").rglob("*") if path.is_file()
    )


def test_going_on_from_the_one_before_keeps_it_until_the_next_is_whole(kept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    next((folder / "2").rglob("d/*")).write_bytes(b"x")
    checkpoints = Checkpoints(folder, keep=1)
    assert checkpoints.restore(state_of(0))[2] == 1
    checkpoints.save(2, state_of(2), {"0": {"place": 2}})
    checkpoints.close()
    assert restored(folder)[0] == 2 and [path.name for path in folder.iterdir()] == ["2"]


def test_a_study_does_not_take_over_numbers_that_have_changed(tmp_path):
    digests.write_json(tmp_path / "done.json", {"loss": 2.5, "repeats": 3})
    assert digests.read_json(tmp_path / "done.json") == {"loss": 2.5, "repeats": 3}
    whole = (tmp_path / "done.json").read_bytes()
    for byte in range(len(whole)):
        for bit in (0, 4):
            (tmp_path / "done.json").write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :])
            with pytest.raises(C4BuildError, match="done.json is not as it was written"):
                digests.read_json(tmp_path / "done.json")


def test_a_line_of_the_log_that_cannot_be_read_is_named(tmp_path):
    lines = "".join(json.dumps({"step": step, "loss": 2.5}) + "\n" for step in (1, 2, 3))
    (tmp_path / "metrics.jsonl").write_text(lines + '{"step": 4, "lo')  # a kill cut the last one off
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3]
    for broken in (
        lines.replace('"step": 2', '"step": x'),
        lines.replace("2,", "\x00,"),
        lines.replace('"step": 2', '"stop": 2'),
    ):
        (tmp_path / "metrics.jsonl").write_text(broken)
        with pytest.raises(C4BuildError, match="metrics.jsonl: line 2 is not as it was written"):
            read_metrics(tmp_path)
        with pytest.raises(C4BuildError, match="metrics.jsonl: line 2 is not as it was written"):
            Log(tmp_path, first_step=3)


def test_a_checkpoint_with_each_layers_arrays_apart_is_taken_as_well(tmp_path):
    """As they were written before the layers of a stack were one array."""
    mesh, rng = make_mesh(4, 2), np.random.default_rng(0)
    _, params = model_graph(model_config("mini", vocab_size=128))
    shapes = {
        "params": params,
        "optimizer": jax.eval_shape(adafactor(constant()).init, params),
        "step": jax.ShapeDtypeStruct((), np.int32),
    }
    state = jax.tree.map(lambda leaf: np.asarray(9 * rng.normal(size=leaf.shape), leaf.dtype), shapes)
    state = jax.tree.map(jax.device_put, state, state_shardings(state, mesh))
    apart = {}
    for name, array in jax.device_get(flatten(state)).items():
        before, found, after = name.partition(".layers.")
        apart |= {f"{before}.layers.{n}.{after}": one for n, one in enumerate(array)} if found else {name: array}
    assert "optimizer.0.v.decoder.layers.1.cross_attention.q.kernel" in apart
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(7, apart, {"0": {"place": 1}})
    checkpoints.wait()
    found, data, step = checkpoints.restore(state)
    assert (data, step) == ({"0": {"place": 1}}, 7) and same(found, state)
    assert all(a.sharding == b.sharding for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state)))
    parameters = checkpoints.parameters()
    checkpoints.close()
    assert same(parameters, to_host(state))


# ---- a run's other files, and what is exported


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    corpus = make_corpus(folder / "c4", 60)
    vocabulary = Vocabulary(make_vocabulary(folder / "v.model", [corpus]).path, 130)
    config = model_config("mini", vocab_size=256, encoder_layers=1, decoder_layers=1)
    write_run(folder / "run", config, vocabulary, kind="pretrain", learning_rate=1.0)
    checkpoints = Checkpoints(folder / "run" / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, {"params": nnx.state(T5(config, nnx.Rngs(step)))})
    checkpoints.close()
    config, params, vocabulary = load_parameters(folder / "run")
    hf.save(folder / "hf", config, params, vocabulary)
    return folder


def test_a_run_and_its_export_remember_how_many_sentinels_there_are(run):
    assert [load_parameters(run / name)[2].sentinels for name in ("run", "hf")] == [130, 130]


def loaded(folder):
    """Everything that a run's numbers are made of, comparable; None where it is refused in a line."""
    try:
        config, params, vocabulary = load_parameters(folder)
        settings = read_run(folder)[1] if (folder / "run.json").exists() else None
    except C4BuildError as error:
        assert "\n" not in str(error) and str(folder) in str(error), error
        return None
    return (
        config,
        {n: v.tobytes() for n, v in to_host({"params": params}).items()},
        Path(vocabulary.path).read_bytes(),
        settings,
    )


@pytest.mark.parametrize("name", ["run.json", "vocab.model"])
def test_a_runs_settings_and_vocabulary_are_those_that_were_written(run, tmp_path, name):
    rng = random.Random(1)
    expected = loaded(run / "run")
    assert expected
    for harm in [flip] * 30 + [cut] * 5 + [lengthen, delete]:
        shutil.copytree(run / "run", tmp_path / "copy")
        harm(tmp_path / "copy" / name, rng)
        assert loaded(tmp_path / "copy") is None, harm
        shutil.rmtree(tmp_path / "copy")


def test_an_export_is_what_was_exported(run, tmp_path):
    rng = random.Random(2)
    expected = loaded(run / "hf")
    assert expected
    for name in files_of(run / "hf"):
        for harm in [flip] * 6 + [cut, cut, lengthen, delete]:
            shutil.copytree(run / "hf", tmp_path / "copy")
            harm(tmp_path / "copy" / name, rng)
            assert loaded(tmp_path / "copy") in (None, expected), (name, harm)
            shutil.rmtree(tmp_path / "copy")


def test_the_digest_of_an_export_can_be_taken_away_with_intent(run, tmp_path):
    shutil.copytree(run / "hf", tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config | {"dropout_rate": 0.2}))
    with pytest.raises(C4BuildError, match="config.json.* delete .*digest.json"):
        load_parameters(tmp_path / "hf")
    (tmp_path / "hf" / "digest.json").unlink()
    assert load_parameters(tmp_path / "hf")[0].dropout == 0.2


def test_an_export_replaces_an_export_and_no_other_checkpoint(run, tmp_path):
    shutil.copytree(run / "hf", tmp_path / "hf")
    model = load_parameters(run / "run")
    hf.save(tmp_path / "hf", *model)
    (tmp_path / "hf" / "digest.json").unlink()
    theirs = {path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()}
    with pytest.raises(UsageError, match="hf holds config.json, .* that c4build did not write: give another --hf"):
        hf.save(tmp_path / "hf", *model)
    assert {path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()} == theirs
