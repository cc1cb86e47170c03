"""The inputs of a run: listed once in small files, dealt out from there; and what to do where some cannot be fetched."""

from collections.abc import Sequence

from c4build.errors import MissingInputsError, counted
from c4build.write.files import delete, join, make_folder, read_own, whole_file, write_sealed

# What is created at the start is the most that a runner such as Dask ever works on side by side.
_SLICES = 1000
_LISTED = 64  # inputs in each of the files that list them
_NAMED = 10  # inputs that an error names


def slices_of(inputs: int) -> list[tuple[int, int]]:
    """(first, behind the last) of so many slices of the inputs; with a crawl's inputs each is one list of them."""
    each = -(-inputs // _SLICES)
    return [(first, min(first + each, inputs)) for first in range(0, inputs, each)]


def write_inputs(folder: str, inputs: Sequence[list]):
    """Writes what is known of each input, as JSON, in order, a few a file, so that a slice need not parse them all."""
    make_folder(folder)
    for first in range(0, len(inputs), _LISTED):
        write_sealed(_list_of_inputs(folder, first), {"inputs": list(inputs[first : first + _LISTED])})


def read_inputs(folder: str, first: int, stop: int, lists: dict[str, list] | None = None) -> list[list]:
    """What `write_inputs` wrote, from the input `first` to the one before `stop`. Raises CorruptFileError.

    Args:
      folder: where it was written.
      first: number of the first input.
      stop: number behind the last.
      lists: what was read before by its path; what is read is added.
    """
    lists, begun = {} if lists is None else lists, first - first % _LISTED
    paths = [_list_of_inputs(folder, at) for at in range(begun, stop, _LISTED)]
    for path in paths:
        if path not in lists:
            lists[path] = read_own(path)["inputs"]
    found = [one for path in paths for one in lists[path]]
    return found[first - begun : stop - begun]


def _list_of_inputs(folder: str, first: int) -> str:
    return join(folder, f"{first:07d}.json")


def check_missing(missing: Sequence[tuple[str, str]], files: int, listed: str, most: int | None = None):
    """Ends the run where more inputs could not be fetched than may be left out; what was fetched stays.

    Args:
      missing: (path, why it could not be fetched).
      files: how many inputs there are.
      listed: the path of a list of those that are missing, which is left there; a former run's goes where this one may go on.
      most: how many may be left out; None where the command has no option for that.

    Raises:
      MissingInputsError: with the first of them.
    """
    if len(missing) <= (most or 0):
        delete(listed)  # of a former run
        return
    with whole_file(listed) as file:
        file.writelines(f"{path}\n".encode(errors="surrogateescape") for path, _ in missing)
    first = "; ".join(f"{path}: {why}" for path, why in missing[:_NAMED])
    more = f"; and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    raise MissingInputsError(
        f"{len(missing):,} of {counted(files, 'inputs')} could not be fetched ({first}{more}; all are listed in {listed}); "
        f"run again to fetch {len(missing):,} of {counted(files, 'files')}"
        + ("" if most is None else f", or go on without them by --allow-missing {len(missing)}")
    )
