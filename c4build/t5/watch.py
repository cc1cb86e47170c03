"""What is watched while a run trains: that its numbers stay finite, and how fast it is."""

import contextlib
import math
import time

import jax

from c4build.errors import C4BuildError
from c4build.t5.flops import device_peak
from c4build.t5.log import hours

SOME = 20  # origins that an error names; the log has them all


class NotFinite(C4BuildError):
    """The loss became NaN or infinite; the message names the step, the files and the last good checkpoint."""


class Finite:
    """A step's loss, if it and the parameters are finite. Raises NotFinite."""

    def __init__(self, checkpoints, log):
        self.checkpoints, self.log = checkpoints, log

    def __call__(self, step: int, metrics, origins) -> float:
        loss, size = float(metrics["loss"]), float(metrics["parameter_norm"])
        if math.isfinite(loss) and math.isfinite(size):  # a bad gradient shows in what it did to the parameters
            return loss
        what = f"loss {loss} at step {step}" if not math.isfinite(loss) else f"parameters not finite after step {step}"
        some = ", ".join(origins[:SOME]) + (f" and {len(origins) - SOME} more" if len(origins) > SOME else "")
        self.checkpoints.wait()  # the last may still be on its way to the disk
        good = self.checkpoints.latest()
        where = f"last good checkpoint: {self.checkpoints.folder / str(good)}"
        message = f"{what}; the batch came from {some}; {'no checkpoint was written yet' if good is None else where}"
        self.log.write(step, error=message, origins=origins)
        raise NotFinite(message)


class Speed:
    """Steps and tokens a second, the share of the devices' peak, and the share of the time that was spent waiting for data, since
    the last `restart`."""

    def __init__(self, devices: int):
        peak, self.peak_from = device_peak(jax.devices()[0])
        self.peak = peak * devices
        self.flops = 0.0  # of a step
        self.restart(0)

    def restart(self, step: int) -> None:
        self.step, self.since, self.waited = step, time.perf_counter(), 0.0

    @contextlib.contextmanager
    def waiting(self):
        before = time.perf_counter()
        yield
        self.waited += time.perf_counter() - before

    def measured(self, step: int, tokens: float) -> dict:
        """Of the steps since the last restart; nothing where there was none."""
        count, seconds = step - self.step, max(time.perf_counter() - self.since, 1e-9)
        if not count:
            return {}
        speed = count / seconds
        return {
            "tokens_per_second": tokens * speed, "steps_per_second": speed, "mfu": self.flops * speed / self.peak,
            "peak_from": self.peak_from, "waiting": self.waited / seconds,
        }  # fmt: skip


def progress_line(step: int, steps: int, values: dict) -> str:
    """The line that a person reads."""
    line = f"step {step:,}/{steps:,}  loss {values['loss']:.4f}"
    if "mfu" not in values:
        return line
    return (
        f"{line}  {values['tokens_per_second']:,.0f} tokens/s  {100 * values['mfu']:.1f} % of peak"
        f"  {100 * values['waiting']:.1f} % waiting  {values['repeats']:.1f} repeats"
        f"  {hours((steps - step) / values['steps_per_second'])} left"
    )
