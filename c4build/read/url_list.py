"""Lists of URLs, one a line; and small files that are read whole."""

import io
from collections.abc import Iterator

from c4build.errors import UsageError
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, open_input
from c4build.read.reddit import decompress, read_lines


def read_urls(source: Input, transport: Transport | None = None) -> Iterator[str]:
    """Yields the lines of a list of URLs, packed or not. Raises UsageError where it cannot be read."""
    try:
        with open_input(source, transport) as file:
            for found in read_lines(file):
                if isinstance(found, Damage):
                    raise InputError(found.what, found.offset)
                yield found[2].decode(errors="replace").rstrip("\r")
    except InputError as error:
        raise UsageError(f"--webtext-urls {source.path}: {error}") from error


def read_small(path: str, transport: Transport | None = None) -> bytes:
    """What a small file holds, local or remote, unpacked where it is packed. Raises InputError."""
    with open_input(Input(path, -1, ""), transport) as file:
        data = file.read()
    parts = list(decompress(io.BytesIO(data))) if data else []
    for part in parts:
        if isinstance(part, Damage):
            raise InputError(part.what, part.offset)
    return b"".join(part.data for part in parts if not isinstance(part, Damage))
