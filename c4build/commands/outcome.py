"""What a person is shown at the end of a run of `collect`: what came in, what each rule took, what stayed."""

from c4build.commands.run_progress import duration
from c4build.commands.terminal import print_note, print_tables
from c4build.errors import counted, visible


def print_collected(recipe, summary: dict, seconds: float):
    """The outcome of a corpus made by `collect`."""
    taken = [("read", summary[recipe.record])]
    taken += [("- " + name.replace("_", " "), count) for name, count in summary["dropped"].items()]
    kept, size = [("kept", summary["kept"])], [("bytes kept", summary["bytes"])]
    if summary["words"]:
        kept += [(f"  {name}", count) for name, count in summary["splits"].items()]
        size = [("words kept", summary["words"]), *size]
    parts = [[(name, [f"{value:,}"]) for name, value in part] for part in (taken, kept, size)]
    print_tables(visible(recipe.title), recipe.record, [""], parts)
    if summary["notes"]:
        print_note(
            "sections mended: "
            + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary["notes"].items())
        )
    print(visible(f"{summary['corpus']}: {summary['folder']}"))
    print(f"{counted(len(summary['inputs']), 'inputs')} in {duration(seconds)}")
