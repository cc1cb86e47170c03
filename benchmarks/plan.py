"""How near `c4build plan` on 4 of 32 files comes to what the build of all 32 then takes.

    python benchmarks/plan.py [--pages 1000] [--sample 4] [--seeds 0,1,2] [--workers 2]

The files are made up, and unlike each other: of a fifth to three times the pages; of 70 to 100 % English; with pages of
6 to 10 lines at the shortest, 6 to 16 at the longest. They share much: a line in four is boilerplate, whose rank has a power law as words have; a page in
25 is another's text, and one in 25 a newer copy of another's URL. CPU is that of the build's process and its children.
For each seed a plan and a build are made one after the other. Ends with 1 where the medians over the seeds of CPU, bytes
or pages kept are further away than 15 %.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import wet_files  # noqa: E402

FILES, MOST_AWAY = 32, 0.15
VARIANTS = "en,en.noblocklist,en.noclean"
_GERMAN = "Die Katze lag den ganzen Tag auf dem warmen Ofen, und niemand wollte sie dort stören, wie Seite {} erzählt."
_MAIN = "from c4build.commands.main import main; main()"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1000, help="of a file, about")
    parser.add_argument("--sample", type=int, default=4)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--workers", default="2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "in").mkdir()
        sizes = make_files(folder / "in", options.pages)
        print(f"{FILES} files of {min(sizes) / 1e6:.2f} to {max(sizes) / 1e6:.2f} MB, {sum(sizes) / 1e6:.1f} MB in all")
        common = [str(folder / "in"), "--variants", VARIANTS, "--rules", "c4-3.1.0", "--workers", options.workers]
        away = []
        for seed in options.seeds.split(","):
            asked = ["plan", *common, "--json", "--sample", str(options.sample), "--seed", seed]
            found = json.loads(run(asked, folder)[0])
            _, cpu = run(["build", *common, "--out", str(folder / seed)], folder)
            away.append(report(found, measured(folder / seed, cpu), options.sample))
    medians = [statistics.median(row) for row in zip(*away)]
    print(f"\nfurthest away, of the medians over seeds: {100 * max(medians, key=abs):+.1f}%")
    sys.exit(max(map(abs, medians)) > MOST_AWAY)


def make_files(folder: pathlib.Path, pages: int) -> list[int]:
    """Writes the files; returns their sizes in bytes."""
    choose, paths, number, written = random.Random(7), [], 0, []
    for file in range(FILES):
        share_english, longer = choose.uniform(0.7, 1), choose.randint(10, 16)
        found = []
        for _ in range(int(pages * choose.uniform(0.2, 3))):
            number += 1
            found.append(a_page(number, share_english, longer, written, choose))
            written.append(found[-1])
        paths.append(folder / f"part-{file:05d}.warc.wet.gz")
        wet_files.write_wet(paths[-1], found)
    return [path.stat().st_size for path in paths]


def a_page(number: int, share_english: float, longer: int, written: list, choose: random.Random) -> wet_files.Written:
    url = f"http://host-{number % 997}.example.org/page-{number}"
    luck = choose.random()
    if luck < 0.04 and written:
        return wet_files.Written(url, choose.choice(written).text)
    if luck < 0.08 and written:
        url = choose.choice(written).url
    if choose.random() > share_english:
        return wet_files.Written(url, "\n".join([_GERMAN.format(number)] * 8))
    lines = wet_files.sentences(number, choose.randint(6, longer))
    for _ in range(len(lines) // 3):
        lines.insert(choose.randrange(len(lines)), wet_files.sentences(-int(choose.paretovariate(0.4)) % 10**7, 1)[0])
    return wet_files.Written(url, "\n".join(lines), f"2019-04-{choose.randint(10, 28)}T12:00:00Z")


def run(arguments: list[str], folder: pathlib.Path) -> tuple[str, float]:
    """(what it printed, CPU seconds of its process and of its children) of a command of c4build."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(folder / "said", "w+") as said, open(folder / "log", "w+") as log:
        command = subprocess.Popen(
            [sys.executable, "-c", _MAIN, *arguments], stdout=said, stderr=log, cwd=folder, env=environment
        )
        _, status, usage = os.wait4(command.pid, 0)
        said.seek(0), log.seek(0)
        if status:
            sys.exit(f"c4build {' '.join(arguments)} failed:\n{log.read()}")
        return said.read(), usage.ru_utime + usage.ru_stime


def measured(out: pathlib.Path, cpu: float) -> dict[tuple[str, str], float]:
    """What the build took and made, by the names that a plan has for it."""
    found = {("cpu", "all"): cpu}
    kept = [path.stat().st_size for path in (out / ".c4build").glob("pages-*/*") if path.suffix in (".pages", ".keys")]
    found["bytes", "kept as page files"] = sum(kept)
    for variant in VARIANTS.split(","):
        (path,) = (out / "c4" / variant).glob("*/c4build.json")
        manifest = json.loads(path.read_text())
        found["bytes", "read"] = sum(source["bytes"] for source in manifest["inputs"])
        found["pages", "read"] = manifest["pages"]
        found["bytes", f"written, {variant}"] = sum(
            file["bytes"] for name, file in manifest["files"].items() if "-train" in name
        )
        found["pages", f"kept, {variant}"] = manifest["kept"]
    return found


def report(found: dict, truth: dict[tuple[str, str], float], sample: int) -> list[float]:
    """Prints a plan beside what came; returns how far away it was, as shares."""
    print(f"\nfrom {sample} of {FILES} files, seed {found['seed']}:")
    print(f"{'':34}{'planned':>14}{'from':>14}{'to':>14}{'came':>14}{'away':>8}")
    away = []
    for (kind, name), came in truth.items():
        planned = found["estimates"][kind][name]
        away.append(planned["value"] / came - 1)
        numbers = "".join(f"{value:14,.1f}" for value in (*planned.values(), came))
        print(f"{kind + ' ' + name:34}{numbers}{100 * away[-1]:+7.1f}%")
    stages = (f"{name} {one['value']:.1f}" for name, one in found["estimates"]["cpu"].items())
    print(f"CPU s by stage, as planned: {', '.join(stages)}")
    return away


if __name__ == "__main__":
    main()
