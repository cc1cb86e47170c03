"""The complete corpora below a folder, whatever their format."""

from collections.abc import Iterator
from typing import NamedTuple

from c4build.errors import CorruptFileError
from c4build.write.files import join, list_folders
from c4build.write.folder import read_manifest

_DEPTH = 3  # of folders below OUT: c4/en/1.0.0

Place = tuple[str, ...]  # a corpus' folder below OUT, the version last


class Found(NamedTuple):
    """A complete corpus, or what cannot be told of one."""

    place: Place
    manifest: dict
    error: str = ""  # why the manifest cannot be read


def corpora_below(folder: str, place: Place = ()) -> Iterator[Found]:
    """Those in `folder`, by name; hidden folders are not looked into."""
    try:
        manifest = read_manifest(folder)
    except CorruptFileError as error:
        yield Found(place, {}, str(error))
        return
    if manifest is not None:
        yield Found(place, manifest)
    elif len(place) < _DEPTH:
        for name in list_folders(folder):
            if not name.startswith("."):
                yield from corpora_below(join(folder, name), (*place, name))
