"""Eight pretended CPU devices for every test here: set before JAX starts."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import importlib.util  # noqa: E402

collect_ignore_glob = [] if importlib.util.find_spec("flax") else ["test_*.py"]
