"""One unit to one file of examples, made now or found made."""

from collections import Counter
from collections.abc import Iterator

from c4build.errors import CorruptFileError, CountsError
from c4build.flow.examples import Report, find_examples, open_examples
from c4build.flow.kit import Damages, may_be_gone, read_once
from c4build.flow.runs.marks import Task
from c4build.flow.units import Found, Recipe, Unit, Yielded
from c4build.read.gz import Damage


def take(recipe: Recipe, number: int, unit: Unit, path: str, progress: str | None = None) -> Report:
    """Makes the file of examples of a unit at `path`, or finds it made before. `progress` is where a `Task` tells how far it is."""
    task = Task(progress)
    report = read_once(lambda: find_examples(path, unit), lambda: _read(recipe, number, unit, path, task))
    damaged = next((f"{name} at byte {offset:,}: {what}" for name, offset, what in report.damages), report.remade)
    why = next((f"{name}: {what}" for name, what in report.missing), damaged)
    damages = len(report.damages) + report.more_damages
    task.done(sum(report.counts.values()), unit.likely_size, damages, missing=len(report.missing), why=why)
    return report._replace(unit=number)


def _read(recipe: Recipe, number: int, unit: Unit, path: str, task: Task) -> Report:
    task.begin()
    counts: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    damages = Damages()
    missing: list[tuple[str, str]] = []
    failures: list[str] = []
    complete = True

    def note(name: str, times: int = 1):
        notes[name] += times

    def found() -> Iterator[Yielded]:
        """What the reader finds; an error that nobody foresaw ends this unit, not the run."""
        try:
            yield from recipe.reader.read(unit, note, tell)
        except (MemoryError, CorruptFileError):
            raise
        except Exception as error:
            failures.append(f"cannot be read on: {type(error).__name__}: {error}")
            yield unit.parts[0].source.path, Damage(unit.parts[0].start, failures[-1])

    def tell(size: int):
        task.at(sum(counts.values()), size)

    with open_examples(path, recipe.dataset.features) as examples:
        for one in found():
            if isinstance(one, Found):
                counts[one.reason] += 1
                if one.example is not None:
                    examples.add(one, one.example)
                continue
            source, damage = one
            if damage.missing:
                missing.append((source, damage.what))
            else:
                damages.add(source, damage.offset, damage.what)
            complete &= not may_be_gone(damage, source)
        if examples.rows != counts["kept"]:
            raise CountsError(f"{unit.name}: {counts['kept']:,} records kept, but {examples.rows:,} examples written")
        report = Report(
            unit=number,
            rows=examples.rows,
            counts=dict(counts),
            notes=dict(notes),
            damages=damages.first,
            more_damages=damages.more,
            complete=complete and not failures,
            content=examples.content(),
            missing=missing,
            path=path,
        )
        examples.tell(report, unit)
    return report
