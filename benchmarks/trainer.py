"""Training speed of the bundled trainer beside Hugging Face's T5, on the same device, shapes and number format, in one run.

    python benchmarks/trainer.py                       # the device's own case: base at 128 x 512 in bf16 on a GPU,
                                                       # a small model in float32 on a CPU
    python benchmarks/trainer.py --size small --batch 8 --length 128 --targets 32 --dtype float32 --steps 5
    python benchmarks/trainer.py --plan --size base --batch 128 --length 512 --targets 512 --dtype bfloat16
    python benchmarks/trainer.py --plan --adapters 32,128,512,2048 --size base --targets 128 --remat minimal
    python benchmarks/trainer.py --input

`--plan` compiles a step without allocating its arrays: for each policy of rematerialisation what the backward pass keeps,
what XLA plans to hold, and how long compiling takes; then a budget of the step by kind of work at an H100's rates.
`--input` measures how fast batches of 128 x 512 come, in this process and from workers.

Each side takes whole training steps (forward, backward, AdaFactor, dropout 0.1) on packed rows of made-up text: ours in
its own loop, data pipeline included, so that waiting for data is measured; theirs with batches of the same shapes handed over ready
made, `sdpa` attention and PyTorch's Adafactor, once under `torch.compile` and once as it comes. All use every processor there
is. They take turns, `--rounds` times, each in a process of its own, since either would hold the device's memory; the
best round of each side counts, which is fair to all when something else runs on the machine. A peer that compiles again
while it is timed ends the benchmark. Prints a Markdown table and writes it as JSON with --json.
"""

import argparse
import functools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

WORDS = 4000


def corpus(folder, length: int, rows: int):
    """Made-up text in the pipeline's layout: enough for `rows` rows of `length` tokens."""
    from c4build.t5.records import text_example, write_tfrecords

    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(rng.choices(letters, range(26, 0, -1), k=rng.randint(2, 9))) for _ in range(WORDS)]
    texts, left = [], rows * length
    while left > 0:
        count = min(rng.randint(50, 900), left + 50)
        texts.append(text_example(" ".join(rng.choices(words, k=count)) + "."))
        left -= count
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(4):
        write_tfrecords(folder / f"c4-train.tfrecord-{shard:05d}-of-00004", texts[shard::4])
    write_tfrecords(folder / "c4-validation.tfrecord-00000-of-00001", texts[:8])


def made(folder, rows: int, length: int):
    """(corpus's folder, vocabulary) of made-up text."""
    from c4build.t5.vocabulary import train_vocabulary

    corpus(folder / "c4", length, rows)
    return folder / "c4", train_vocabulary([folder / "c4"], folder / "v.model", 8000, 2_000_000, strict=False)


def ours(options) -> dict:
    """The trainer's own loop; speed and waiting are what it logs, after the first steps."""
    from c4build.t5 import sharding
    from c4build.t5.config import model_config, padded_vocabulary
    from c4build.t5.log import read_metrics
    from c4build.t5.pretrain import pretrain
    from c4build.t5.train import Training

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, vocabulary = made(folder, options.batch * (options.steps + options.warm) // 2, options.length)
        assert padded_vocabulary(vocabulary.size) <= options.vocabulary
        config = model_config(
            options.size, vocab_size=options.vocabulary, dtype=options.dtype, remat=options.remat,
            attention=options.attention, dropout=0.1,
        )  # fmt: skip
        training = Training(
            steps=options.warm + options.steps, batch=options.batch, inputs_length=options.length,
            log_every=options.warm + options.steps, checkpoint_every=10**9, accumulate=options.accumulate,
        )  # fmt: skip
        # Speed is measured from the second logged line on: the first covers the warm steps.
        training = Training(**{**training.__dict__, "log_every": options.warm})
        assert options.steps % options.warm == 0
        pretrain(
            folder / "run", [text], vocabulary, config, training, objective=options.objective,
            mesh=sharding.make_mesh(1, 1), workers=options.workers, quiet=True,
        )  # fmt: skip
        import jax
        import jaxlib

        lines = [line for line in read_metrics(folder / "run") if "steps_per_second" in line][1:]
        seconds = sum(1 / line["steps_per_second"] for line in lines) / len(lines)
        return {
            "seconds": seconds,
            "waiting": sum(line["waiting"] for line in lines) / len(lines),
            "device": jax.devices()[0].device_kind,
            "peak": peak_of(jax.devices()[0]),
            "versions": f"JAX {jax.__version__}, jaxlib {jaxlib.__version__}",
        }


def peak_of(device):
    from c4build.t5.flops import device_peak

    return device_peak(device)


def theirs(options, compiled: bool) -> dict:
    """Hugging Face's model: the same shapes, all positions real, as in packed rows."""
    import torch
    import transformers
    from transformers import T5Config, T5ForConditionalGeneration

    from c4build.t5.config import model_config
    from c4build.t5.hf import write_config

    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    config = model_config(options.size, vocab_size=options.vocabulary, dropout=0.1)
    fields = {name: value for name, value in write_config(config).items() if name != "architectures"}
    settings = T5Config(**fields, use_cache=False, attn_implementation=options.peer_attention)
    model = T5ForConditionalGeneration(settings).to(device).train()
    if options.remat != "none":
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.Adafactor(model.parameters(), lr=0.01)
    step_model = torch.compile(model) if compiled else model
    half = options.dtype == "bfloat16"
    inputs = torch.randint(2, 8000, (options.batch, options.length), device=device)
    labels = torch.randint(2, 8000, (options.batch, options.targets), device=device)
    mask = torch.ones_like(inputs)

    def step():
        for part in range(options.accumulate):
            rows = slice(part, None, options.accumulate)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
                loss = step_model(input_ids=inputs[rows], attention_mask=mask[rows], labels=labels[rows]).loss
            (loss / options.accumulate).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(options.warm + 1):
        loss = step()
    float(loss)
    wait()
    torch._dynamo.config.error_on_recompile = True
    start = time.perf_counter()
    for _ in range(options.steps):
        loss = step()
    float(loss)
    wait()
    return {
        "seconds": (time.perf_counter() - start) / options.steps,
        "versions": f"torch {torch.__version__}, transformers {transformers.__version__}, "
        f"{model.config._attn_implementation} attention, {torch.get_num_threads()} threads",
    }


COMPILED, EAGER = "transformers, torch.compile", "transformers, eager"
SIDES = {
    "c4build": ours,
    COMPILED: functools.partial(theirs, compiled=True),
    EAGER: functools.partial(theirs, compiled=False),
}


def input_rates(batches: int = 200, rows: int = 128, length: int = 512) -> None:
    """Slots (inputs and targets, filled or not) a second for 0, 1 and 2 workers, by the clock and by the processors' time,
    which other work on the machine does not touch; and what the trainer's process spends."""
    import psutil

    from c4build.t5 import sharding
    from c4build.t5.pretrain import make_feed
    from c4build.t5.rows import corrupter

    with tempfile.TemporaryDirectory() as name:
        text, vocabulary = made(Path(name), 100 * rows, length)
        corrupt, width = corrupter(vocabulary, "span_corruption", length)
        print(
            "| workers | M slots a second | M slots a CPU second | filled | CPU ms a batch in the trainer's process |"
        )
        print("|---|---|---|---|---|")
        for workers in (0, 1, 2):
            feed = make_feed(
                [text], [1.0], vocabulary, corrupt, (length, width), rows, sharding.make_mesh(1, 1), streams=1, seed=0,
                limit=None, workers=workers, shuffle=1000, window=64,
            )  # fmt: skip
            for _ in range(16):  # what was read ahead before the clock starts
                next(feed)
            children = psutil.Process().children(recursive=True)

            def spent():
                return sum(sum(child.cpu_times()[:2]) for child in children)

            begun, used, others, filled = time.perf_counter(), time.process_time(), spent(), 0
            for _ in range(batches):
                arrays, _, _ = next(feed)
                filled += sum((arrays[f"{side}_segments"] > 0).sum() for side in ("input", "target"))
            seconds, used, others = time.perf_counter() - begun, time.process_time() - used, spent() - others
            slots = batches * rows * (length + width)
            print(f"| {workers} | {slots / seconds / 1e6:.2f} | {slots / (used + others) / 1e6:.2f} | "
                  f"{100 * filled / slots:.0f} % | {1000 * used / batches:.1f} |")  # fmt: skip
            feed.close()


def report(options, found) -> dict:
    """Tokens are rows times inputs and targets, padding counted, alike on both sides."""
    from c4build.t5.config import model_config
    from c4build.t5.flops import step_flops

    tokens = options.batch * (options.length + options.targets)
    config = model_config(options.size, vocab_size=options.vocabulary)
    flops = step_flops(config, options.batch, options.length, options.targets)
    best = {side: min(rounds, key=lambda r: r["seconds"]) for side, rounds in found.items() if rounds}
    peak, source = best["c4build"]["peak"]
    print(
        f"\n{options.size}, {options.batch} x {options.length} inputs and {options.targets} targets, {options.dtype}, "
        f"{best['c4build']['device']}; peak {peak / 1e12:.2f} TFLOP/s ({source}); best of {options.rounds} rounds of "
        f"{options.steps} steps\n"
    )
    print("| | s/step | tokens/s | share of peak | waiting for data |\n|---|---|---|---|---|")
    for side, run in best.items():
        run |= {"tokens_per_second": tokens / run["seconds"], "mfu": flops / run["seconds"] / peak}
        waiting = f"{100 * run['waiting']:.1f} %" if "waiting" in run else "-"
        print(
            f"| {side} | {run['seconds']:.3f} | {run['tokens_per_second']:,.0f} | {100 * run['mfu']:.1f} % | {waiting} |"
        )
    print()
    for side in (side for side in list(best) if side != "c4build"):
        best[side]["ratio"] = best[side]["seconds"] / best["c4build"]["seconds"]
        print(f"c4build is {best[side]['ratio']:.2f} times as fast as {side}.")
    print("; ".join(dict.fromkeys(run["versions"] for run in best.values())))
    if "NVIDIA" not in best["c4build"]["device"].upper() and "CPU" in best["c4build"]["device"].upper():
        print("GPU (base, 128 x 512, bf16): not measured, no GPU here.")
    return best


def main():
    from c4build.t5.objectives import lengths

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--length", type=int)
    parser.add_argument("--targets", type=int, help="set by the objective on our side")
    parser.add_argument("--objective", default="span_corruption")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"])
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--remat", choices=["none", "minimal", "full"], default="none")
    parser.add_argument("--attention", choices=["auto", "plain", "fused", "kernel"], default="auto")
    parser.add_argument("--plan", action="store_true", help="memory, compile time and budget of a step; nothing is run")
    parser.add_argument("--adapters", metavar="32,128", help="--plan of fine-tuning them, beside all of the model")
    parser.add_argument("--input", action="store_true", help="how fast batches come")
    parser.add_argument("--profile", action="store_true", help="where a step's time goes on this device")
    parser.add_argument("--kernels", type=int, default=40, help="how many of them --profile prints")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--eager", action="store_true", help="theirs without torch.compile (needs no C++ compiler)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer-attention", choices=["sdpa", "eager"], default="sdpa", help="of transformers")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["c4build", "transformers"], help="one side alone")
    options = parser.parse_args()
    on_gpu = Path("/dev/nvidia0").exists()
    case = {
        "size": "base",
        "batch": 128,
        "length": 512,
        "dtype": "bfloat16",
        "vocabulary": 32128,
        "steps": 20,
        "workers": 4,
    }
    if not on_gpu:
        case = {
            "size": "tiny",
            "batch": 16,
            "length": 128,
            "dtype": "float32",
            "vocabulary": 8192,
            "steps": 20,
            "workers": 0,
        }
    for name, value in case.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.targets is None:
        options.targets = lengths(options.objective, options.length)[1]
    if options.plan:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        from trainer_plan import plan, tuned

        if options.adapters:
            return tuned(options, [int(width) for width in options.adapters.split(",")])
        return plan(options)
    if options.input:
        return input_rates()
    if options.profile:
        from trainer_profile import profile

        return profile(options)
    if options.side:
        print("RESULT " + json.dumps(SIDES[options.side](options)))
        return
    sides = [side for side in SIDES if side.startswith(options.only or "") and not (options.eager and side == COMPILED)]
    found = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
            results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            if done.returncode or not results:
                raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
            found[side].append(json.loads(results[-1].removeprefix("RESULT ")))
    if "c4build" in sides:
        best = report(options, found)
        if options.json:
            options.json.write_text(
                json.dumps({"options": vars(options) | {"json": None}, "best": best}, indent=2) + "\n"
            )
    else:
        print(found)


if __name__ == "__main__":
    main()
