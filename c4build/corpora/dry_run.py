"""What a build would read, and what it would write where: found without a lock, a folder or a file."""

from c4build.corpora.c4 import DATASET, check, default_shards
from c4build.corpora.options import Request
from c4build.errors import counted
from c4build.write.files import join
from c4build.write.folder import find_manifest
from c4build.write.shards import validation_shards


def dry_run(request: Request) -> list[str]:
    """What `request` comes to, in lines. Raises UsageError as the build itself would."""
    checked = check(request)
    inputs = checked.inputs
    size = sum(source.likely_size for source in inputs)
    guessed = sum(source.size < 0 for source in inputs)
    shards = request.shards or default_shards(inputs)
    lines = [
        f"would read {counted(len(inputs), 'inputs')}, {size / 1e9:,.2f} GB"
        + (f" ({counted(guessed, 'sizes')} taken for a usual one)" if guessed else ""),
        f"  first: {inputs[0].path}",
        f"  last: {inputs[-1].path}",
        f"would write, by the rules {checked.rules.name}, as {request.format}: "
        f"{counted(shards, 'training shards')}, {validation_shards(shards):,} of validation, in each of",
    ]
    for variant in checked.variants:
        folder = join(checked.out, DATASET, variant.name, checked.rules.version)
        lines.append(f"  {variant.name}: {folder}{' (where a corpus lies)' if find_manifest(folder) else ''}")
    page_files = f"and {counted(len(inputs), 'page files')}, one for each input that has none yet, below "
    return [*lines, page_files + join(checked.out, ".c4build"), "nothing was written"]
