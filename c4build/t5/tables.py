"""A study's results as Markdown, CSV and pictures."""

import csv
import itertools
import statistics
from pathlib import Path

from c4build.t5 import paper


def summary(values) -> tuple[float, float | None]:
    """(mean, standard deviation over seeds, or None for one)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def cell(found) -> str:
    if found is None:
        return ""
    mean, deviation = found
    return f"{mean:.2f}" if deviation is None else f"{mean:.2f} ± {deviation:.2f}"


def score_rows(study_rows, columns, results) -> list[dict]:
    """One row of the table for each of the study: {"row", "seeds", "repeats", column: (mean, deviation), "paper": {column:
    number}}.

    `results` are {"row", "seed", "column", "score", "exact"} and, of text, {"row", "seed", "loss", "repeats"}.
    """
    rows = []
    for named in study_rows:
        mine = [result for result in results if result["row"] == named["name"]]
        row = {"row": named["name"], "seeds": len({r["seed"] for r in mine})}
        for column in columns:
            values = [r["score"] for r in mine if r.get("column") == column]
            row[column] = summary(values) if values else None
        losses = [r for r in mine if "loss" in r]
        row["loss"] = summary([r["loss"] for r in losses]) if losses else None
        row["repeats"] = max((r["repeats"] for r in losses), default=0)
        exact = [r["exact"] for r in mine if r.get("exact")]
        row["exact"] = {
            task: summary([e[task] for e in exact if task in e]) for task in dict.fromkeys(itertools.chain(*exact))
        }
        row["paper"] = paper.paper_row(named["paper"]) if named.get("paper") else {}
        row["paper_row"] = named.get("paper") or ""
        rows.append(row)
    return rows


def header(columns) -> list[str]:
    pairs = [
        name for column in columns for name in ([column, f"{column} (paper)"] if column in paper.COLUMNS else [column])
    ]
    return ["row", "repeats", "loss", *pairs, *(["the paper's row"] if set(columns) & set(paper.COLUMNS) else [])]


def lines_of(rows, columns, show) -> list[list[str]]:
    lines = []
    for row in rows:
        line = [row["row"], f"{row['repeats']:.1f}", show(row["loss"])]
        for column in columns:
            line.append(show(row[column]))
            if column in paper.COLUMNS:
                line.append(f"{row['paper'][column]:.2f}" if column in row["paper"] else "")
        lines.append(line + ([row["paper_row"]] if set(columns) & set(paper.COLUMNS) else []))
    return lines


def markdown(title, rows, columns, losses) -> str:
    out = [f"# {title}", ""]
    out += table(header(columns), lines_of(rows, columns, cell))
    out += ["", *notes(rows)]
    named = [row for row in rows if row["paper"]]
    if named and not set(columns) & set(paper.COLUMNS):
        out += ["", "The paper's numbers for these rows, on its own tasks and at its own size:", ""]
        lines = [[r["row"], r["paper_row"], *(f"{r['paper'][c]:.2f}" for c in paper.COLUMNS)] for r in named]
        out += table(["row", "the paper's row", *paper.COLUMNS], lines)
    out += exact_table(rows)
    names, texts, matrix = losses
    if texts:
        out += ["", "Loss of each model (row) on each corpus's held-out text (column):", ""]
        out += table(["model", *texts], [[n, *(f"{v:.3f}" for v in values)] for n, values in zip(names, matrix)])
    return "\n".join(out) + "\n"


def tables_said(numbers) -> str:
    return f"Table{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def notes(rows) -> list[str]:
    numbers = sorted({paper.TABLE_OF[row["paper_row"]] for row in rows if row["paper"]})
    return [
        "Mean and standard deviation over seeds. `loss` is the last training loss, in nats a target token; `repeats` how",
        f"often the corpus was repeated after its first epoch. The paper's numbers: {paper.SOURCE}, "
        f"{tables_said([1, *numbers])}; ten of its baseline runs spread by",
        ", ".join(f"{column} {deviation}" for column, deviation in zip(paper.COLUMNS, paper.DEVIATION)) + ".",
    ]


def exact_table(rows) -> list[str]:
    """MultiRC's and ReCoRD's exact match, where the paper finds what a corpus of the right kind does (section 3.4.1)."""
    shown = [row for row in rows if row["exact"]]
    if not shown:
        return []
    lines = []
    for row in shown:
        line = [row["row"]]
        for task, numbers in paper.EXACT.items():
            number = numbers.get(row["paper_row"])
            line += [cell(row["exact"].get(task)), "" if number is None else f"{number:.2f}"]
        lines.append(line)
    return [
        "", "Exact match:", "",
        *table(["row", "MultiRC", "MultiRC (paper)", "ReCoRD", "ReCoRD (paper)"], lines),
    ]  # fmt: skip


def table(head, lines) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(line)} |" for line in lines)]


def write_csv(path, rows, columns) -> None:
    names = ["row", "paper_row", "seeds", "repeats", "loss", "loss_std"]
    names += [f"{column}{part}" for column in columns for part in ("", "_std", "_paper")]
    exact = [task for task in paper.EXACT if any(task in row["exact"] for row in rows)]
    names += [f"{task}_em{part}" for task in exact for part in ("", "_std", "_paper")]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            line = [row["row"], row["paper_row"], row["seeds"], row["repeats"], *plain(row["loss"])]
            for column in columns:
                line += [*plain(row[column]), row["paper"].get(column, "")]
            for task in exact:
                line += [*plain(row["exact"].get(task)), paper.EXACT[task].get(row["paper_row"], "")]
            writer.writerow(line)


def plain(found):
    return ("", "") if found is None else (f"{found[0]:.4f}", "" if found[1] is None else f"{found[1]:.4f}")


def canvas(width, height):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")


def draw_table(path, title, rows, columns) -> None:
    """The table as a picture: one bar a row and column, the paper's number a tick across it."""
    import matplotlib.pyplot as plt

    figure, axes = canvas(1, 1)
    plt.close(figure)
    columns = [column for column in columns if any(row[column] for row in rows)]
    figure, axes = plt.subplots(
        1, max(len(columns), 1), figsize=(2.2 + 2.4 * max(len(columns), 1), 1.2 + 0.34 * len(rows)),
        sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    names = [row["row"] for row in rows]
    for place, column in zip(axes[0], columns):
        means = [row[column][0] if row[column] else 0.0 for row in rows]
        spread = [(row[column][1] or 0.0) if row[column] else 0.0 for row in rows]
        place.barh(names, means, xerr=spread if any(spread) else None, color="#4c78a8", height=0.7)
        for number, (row, mean) in enumerate(zip(rows, means)):
            if column in row["paper"]:
                place.plot([row["paper"][column]] * 2, [number - 0.45, number + 0.45], color="#e45756", linewidth=2)
            if row[column]:
                place.text(mean, number, f" {cell(row[column])} ", va="center", ha="right", fontsize=8, color="white")
        place.set_title(column, fontsize=10)
        place.spines[["top", "right"]].set_visible(False)
    axes[0][0].invert_yaxis()
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_losses(path, names, texts, matrix) -> None:
    """The heat map of every model's loss on every corpus, each column from its best model (light) to its worst."""
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = canvas(2.6 + 1.1 * len(texts), 1.6 + 0.45 * len(names))
    values = np.array(matrix)
    above = values - values.min(0, keepdims=True)
    axes.imshow(above, cmap="viridis_r", aspect="auto")
    for row, column in np.ndindex(values.shape):
        dark = above[row, column] > 0.5 * above.max()
        axes.text(
            column, row, f"{values[row, column]:.3f}", ha="center", va="center", color="white" if dark else "black"
        )
    axes.set_xticks(range(len(texts)), texts, rotation=25, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("held-out text")
    axes.set_ylabel("pre-trained on")
    axes.set_title("Loss in nats a target token; colour: above the column's best", fontsize=10)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_curves(path, curves: dict) -> None:
    """Training losses by step: {row: [(step, loss)]}."""
    import matplotlib.pyplot as plt

    figure, axes = canvas(6.5, 3.6)
    for name, points in curves.items():
        axes.plot(*zip(*points), label=name, linewidth=1.3)
    axes.set_xlabel("step")
    axes.set_ylabel("training loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def write_all(out, title, study_rows, columns, results, losses, curves) -> Path:
    """table.md, table.csv, table.png, losses.csv, losses.png, curves.png in `out`; returns table.md."""
    out = Path(out)
    rows = score_rows(study_rows, columns, results)
    (out / "table.md").write_text(markdown(title, rows, columns, losses), encoding="utf-8")
    write_csv(out / "table.csv", rows, columns)
    draw_table(out / "table.png", title, rows, columns)
    names, texts, matrix = losses
    if texts and names:
        with open(out / "losses.csv", "w", newline="") as file:
            csv.writer(file).writerows([["model", *texts], *([n, *values] for n, values in zip(names, matrix))])
        draw_losses(out / "losses.png", names, texts, matrix)
    if curves:
        draw_curves(out / "curves.png", curves)
    return out / "table.md"
