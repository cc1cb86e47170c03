"""One pre-training run as a process of its own: `python child.py arguments.json`. Prints every logged step."""

import json
import os
import sys

arguments = json.load(open(sys.argv[1]))
os.environ["JAX_PLATFORMS"] = "cpu"
devices = f"--xla_force_host_platform_device_count={arguments.get('devices', 1)}"  # the last one counts
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {devices}"

import jax  # noqa: E402

if "coordinator" in arguments:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(arguments["coordinator"], arguments["processes"], int(sys.argv[2]))

from c4build.t5 import sharding  # noqa: E402
from c4build.t5.config import model_config, padded_vocabulary  # noqa: E402
from c4build.t5.pretrain import pretrain  # noqa: E402
from c4build.t5.train import Training  # noqa: E402
from c4build.t5.vocabulary import Vocabulary  # noqa: E402

vocabulary = Vocabulary(arguments["vocabulary"])
pretrain(
    arguments["run"],
    arguments["corpora"],
    vocabulary,
    model_config("mini", vocab_size=padded_vocabulary(vocabulary.size), encoder_layers=1, decoder_layers=1),
    Training(**arguments["training"]),
    mesh=sharding.make_mesh(*arguments.get("mesh", [1, 1])),
    **arguments.get("settings", {}),
)
