"""Where arrays lie: a mesh with axes `data` and `model`, parameters split by what their names say.

Rows of a batch are split over `data`. Over `model`: heads, the feed-forward's inner width and the vocabulary; everything
else is on every device. Which host reads which streams of data follows from the mesh.
"""

import re

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from c4build.errors import UsageError
from c4build.t5.cpu import keep_memory

PATTERNS = [
    (r"(attention\.[qkv]|feed_forward\.(wi|gate)|adapter\.down)\.kernel$", P(None, "model")),
    (r"(attention\.o|feed_forward\.wo|adapter\.up)\.kernel$", P("model")),
    (r"(^|\.)(embedding|head)$", P("model")),
    (r"\.(scale|relative_bias)$", P()),
]


def make_mesh(data: int | None = None, model: int = 1) -> Mesh:
    """All devices as `data` x `model`; without `data`, as many as there are. Raises ValueError if they do not divide."""
    keep_memory()
    devices = jax.devices()
    data = len(devices) // model if data is None else data
    if data * model > len(devices) or data * model == 0:
        raise UsageError(f"{data} x {model} devices asked for, {len(devices)} are there")
    return Mesh(np.array(devices[: data * model]).reshape(data, model), ("data", "model"))


def name(path) -> str:
    """`encoder.layers.attention.q.kernel` for a path of a tree of parameters."""
    return re.sub(r"\.value$", "", jax.tree_util.keystr(path, simple=True, separator="."))


def flatten(tree) -> dict:
    return {name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def unflatten(tree, flat: dict):
    """The leaves of `flat` in the shape of `tree`."""
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    return jax.tree_util.tree_unflatten(structure, [flat[name(path)] for path, _ in paths])


def parameter_spec(name: str) -> P:
    for pattern, spec in PATTERNS:
        if re.search(pattern, name):
            return P(None, *spec) if ".layers." in name and spec else spec  # the axis of the layers comes first
    raise ValueError(f"no rule says how to split {name}")


def parameter_shardings(params, mesh: Mesh):
    return jax.tree_util.tree_map_with_path(lambda path, _: NamedSharding(mesh, parameter_spec(name(path))), params)


def optimizer_shardings(state, params, mesh: Mesh):
    """A moment as large as its parameter lies as the parameter does; factored ones are vectors, on every device."""
    known = {name(path): leaf.shape for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]}

    def place(path, leaf):
        full = name(path)
        owner = next((n for n, shape in known.items() if full.endswith("." + n) and shape == leaf.shape), None)
        return NamedSharding(mesh, parameter_spec(owner) if owner else P())

    return jax.tree_util.tree_map_with_path(place, state)


def host_streams(mesh: Mesh, streams: int) -> range:
    """The streams of data that this host reads. Raises ValueError where they cannot be dealt out evenly."""
    process = jax.process_index()
    places = [row for row in range(mesh.shape["data"]) if any(d.process_index == process for d in mesh.devices[row])]
    groups = mesh.shape["data"] // len(places)
    if streams % groups:
        raise UsageError(
            f"{streams} streams cannot be dealt out to {groups} groups of hosts: set --streams to a multiple"
        )
    each = streams // groups
    first = places[0] // len(places) * each
    return range(first, first + each)


def put_batch(arrays: dict, mesh: Mesh) -> dict:
    """This host's rows, [rows, length] each, as parts of the whole batch."""
    sharding = NamedSharding(mesh, P("data"))
    return {name: jax.make_array_from_process_local_data(sharding, array) for name, array in arrays.items()}


def everywhere(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, P())
