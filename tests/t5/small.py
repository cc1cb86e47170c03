"""Small corpora in the pipeline's own layout, and a vocabulary of them."""

import json
import random
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from c4build.t5.checkpoint import model_graph
from c4build.t5.records import text_example, write_tfrecords
from c4build.t5.sharding import name
from c4build.t5.vocabulary import train_vocabulary

PEOPLE = "Anna Boris Clara David Emma Felix Greta Henry Irene Jonas Karla Louis Maria Nils Olga Peter".split()
PLACES = "harbour library market museum station garden bakery school theatre hospital".split()
THINGS = "book lamp violin ladder basket letter clock camera bottle blanket kettle map".split()
DEEDS = {"borrowed": "returned", "lost": "found", "bought": "sold", "painted": "cleaned", "broke": "repaired"}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def story(rng: random.Random) -> str:
    """Sentences that repeat their person and thing, so that there is something to learn beyond frequencies."""
    lines = []
    for _ in range(rng.randint(2, 6)):
        person, place, thing = rng.choice(PEOPLE), rng.choice(PLACES), rng.choice(THINGS)
        deed = rng.choice(sorted(DEEDS))
        day = rng.randrange(7)
        lines.append(
            f"On {DAYS[day]} {person} {deed} a {thing} at the {place}. "
            f"On {DAYS[(day + 1) % 7]} {person} {DEEDS[deed]} the {thing} at the {place}."
        )
    return "\n".join(lines)


def make_corpus(folder, texts=600, shards=3, seed=0, name="c4") -> Path:
    """`folder`/1.0.0 with TFRecord shards of a train and a validation split, named as the pipeline names them."""
    rng = random.Random(seed)
    out = Path(folder) / "1.0.0"
    out.mkdir(parents=True)
    for split, count, files in (("train", texts, shards), ("validation", max(texts // 10, 8), 1)):
        stories = [text_example(story(rng)) for _ in range(count)]
        for shard in range(files):
            path = out / f"{name}-{split}.tfrecord-{shard:05d}-of-{files:05d}"
            write_tfrecords(path, stories[shard::files])
    (out / "dataset_info.json").write_text(json.dumps({"name": name}))
    (out / "features.json").write_text("{}")
    return Path(folder)


def random_parameters(config, seed=0):
    """Parameters of about the usual sizes, norms apart, made without compiling a model's start."""
    rng = np.random.default_rng(seed)

    def of(path, shape):
        key = name(path)
        if key.endswith("scale"):
            return rng.uniform(0.5, 1.5, shape.shape).astype("float32")
        deviation = shape.shape[-2] ** -0.5 if key.endswith("kernel") else 1.0
        deviation *= config.d_kv**-0.5 if key.endswith(".q.kernel") else 1.0
        return rng.normal(0, deviation, shape.shape).astype("float32")

    return jax.tree.map(jnp.asarray, jax.tree_util.tree_map_with_path(of, model_graph(config)[1]))


def make_vocabulary(path, corpora, size=100):
    return train_vocabulary(corpora, path, size, characters=200_000)
