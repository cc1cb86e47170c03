"""Which files a command means: files, globs, folders and lists of paths, local or remote, and Common Crawl's own lists."""

import fnmatch
import glob
import gzip
import os
import re
from collections.abc import Iterable, Sequence

from c4build.errors import UsageError, printable
from c4build.read import attempts
from c4build.read.attempts import FetchError, InputError, reason
from c4build.read.hosts import Transport
from c4build.read.listing import SCHEMES as LISTED
from c4build.read.listing import glob_objects, objects_below
from c4build.read.paths import CRAWL_HOST, Input, identify_all, one_name, open_input
from c4build.read.stores import close_idle
from c4build.read.wet_kind import other_than_wet

_ENDINGS = (".wet", ".wet.gz")
_PEEKED = 3  # local inputs that are looked at before any work
_PEEKED_BYTES = 1 << 18


def find_inputs(
    given: Iterable[str],
    crawls: Iterable[str] = (),
    limit: int | None = None,
    archive: str = CRAWL_HOST,
    most_connections: int | None = None,
) -> list[Input]:
    """The WET files that the command names, each once, sorted by name: their order on the command line is no matter.

    Args:
      given: WET files, globs, folders (searched for *.wet.gz and *.wet), lists of paths (wet.paths, wet.paths.gz).
      crawls: names of crawls such as CC-MAIN-2019-18, whose own lists are read from Common Crawl.
      limit: how many of the first files to take.
      archive: of `ARCHIVES`, where crawls lie.
      most_connections: to a server at once; None: as many as by default.

    Raises:
      UsageError: something named is not there or holds no WET file.
    """
    paths: list[str] = []
    for name in given:
        paths += _expand(name, archive=archive)
    for crawl in crawls:
        if not fnmatch.fnmatch(crawl, "CC-MAIN-*"):
            raise UsageError(f"--crawl {crawl}: crawls are named as in CC-MAIN-2019-18")
        _check_schemes([archive])
        paths += _read_list(f"{archive}crawl-data/{crawl}/wet.paths.gz", archive)
    if not paths:
        raise UsageError("no input: name WET files, a folder, a list of paths, or --crawl")
    _check_schemes(paths)
    inputs = _in_order(identify_all(_each_once(paths)[:limit], _settings(most_connections)))
    _check_wet(inputs)
    close_idle()  # workers are to have all the connections that there may be
    return inputs


def find_files(given: Iterable[str], endings: tuple[str, ...], most_connections: int | None = None) -> list[Input]:
    """The files that the command names, each once, sorted by name: files, globs, folders searched for the endings.

    `most_connections` are made to a server at once; None: as many as by default.

    Raises:
      UsageError: something named is not there or holds none.
    """
    paths = [path for name in given for path in _expand(name, endings)]
    if not paths:
        raise UsageError(f"no input: name files ({_alternatives(endings)}) or folders of them")
    _check_schemes(paths)
    return _in_order(identify_all(_each_once(paths), _settings(most_connections)))


def _settings(most_connections: int | None) -> Transport:
    default = attempts.DEFAULT
    return default._replace(most_connections=most_connections) if most_connections else default


def _in_order(inputs: Iterable[Input]) -> list[Input]:
    return sorted(inputs, key=lambda source: (source.name, source.path))


def _each_once(paths: Iterable[str]) -> list[str]:
    """The paths in their order, of several of one file (by symbolic links, too) that which sorts first."""
    names: dict[str, str] = {}
    for path in paths:
        file = one_name(path) if "://" in path else os.path.realpath(path)
        names[file] = min(path, names.get(file, path))
    return list(names.values())


def _check_wet(inputs: Sequence[Input]):
    """Looks at the start of a few inputs, and fails where it shows that they are another thing.

    Records of another kind of WARC in one of them are enough; HTML, a zip archive and so on can be the bad download of one
    file, so that it takes all of them.
    """
    remote = "://" in inputs[0].path
    looked_at = inputs[:1] if remote else [source for source in inputs if "://" not in source.path][:_PEEKED]
    found = [(source, *other_than_wet(_start_of(source))) for source in looked_at]
    for source, what, is_warc in found:
        if is_warc or (not remote and all(what for _, what, _ in found)):
            raise UsageError(f"{printable(source.path)}: it holds {what}; c4build reads WET files (NAME.warc.wet.gz)")


def _start_of(source: Input) -> bytes:
    if "://" not in source.path and not os.path.isfile(source.path):
        return b""  # a pipe is read but once
    try:
        with open_input(source, attempts.DEFAULT._replace(tries=2)) as file:
            return file.read(_PEEKED_BYTES)
    except InputError:
        return b""  # is said when it is read


def _alternatives(endings: tuple[str, ...]) -> str:
    return " or ".join(endings)


def _check_schemes(paths: Iterable[str]):
    """Fails where an address is of a kind that smart-open does not read, or not without a package more."""
    for scheme, path in {path.partition("://")[0]: path for path in paths if "://" in path}.items():
        from smart_open.transport import get_transport

        try:
            get_transport(scheme)
        except Exception as error:
            raise UsageError(
                f"{path}: addresses that start with {scheme}:// cannot be read; s3:// needs pip install 'c4build[s3]', "
                "gs:// 'c4build[gcp]'"
            ) from error


def _expand(name: str, endings: tuple[str, ...] = _ENDINGS, archive: str = CRAWL_HOST) -> list[str]:
    name = name.removeprefix("file://")
    base = name.rpartition("/")[2]
    if base.endswith((".paths", ".paths.gz")):
        return _read_list(name, archive)
    if "://" in name:
        searched = name if name.partition("://")[0] in LISTED else base
        if any(char in searched for char in "*[") or name.endswith("/"):
            return _expand_remote(name, endings)
        return [name]
    if os.path.isdir(name):
        found = sorted(
            _absolute(os.path.join(folder, file))
            for folder, _, files in os.walk(name)
            for file in files
            if file.lower().endswith(endings) and not file.startswith(".")
        )
        if not found:
            raise UsageError(f"{name}: no file in this folder ends in {_alternatives(endings[::-1])}")
        return found
    if os.path.exists(name):
        return [_absolute(name)]
    found = sorted(map(_absolute, filter(os.path.isfile, glob.glob(name, recursive=True))))
    if not found:
        what = "no file matches" if glob.has_magic(name) else "there is no such file or folder"
        raise UsageError(f"{name}: {what}")
    return found


def _expand_remote(name: str, endings: tuple[str, ...]) -> list[str]:
    try:
        if name.partition("://")[0] in LISTED:
            found = objects_below(name, endings) if name.endswith("/") else glob_objects(name)
        else:
            found = list(_listed_by_beam(name, endings))
    except FetchError as error:
        raise UsageError(f"{name} {error}; name the files, or give a list of paths") from error
    except Exception as error:
        raise UsageError(
            f"{name}: cannot be listed ({reason(error)}); name the files, or give a list of paths"
        ) from error
    if not found:
        raise UsageError(f"{name}: no file matches")
    return sorted(found)


def _listed_by_beam(name: str, endings: tuple[str, ...]) -> Iterable[str]:
    from apache_beam.io.filesystems import FileSystems

    patterns = [name + "*" + ending for ending in endings] if name.endswith("/") else [name]
    return {entry.path for match in FileSystems.match(patterns) for entry in match.metadata_list}


def _absolute(path: str) -> str:
    """An absolute path without `.` and `..` of the file that `path` names, also where a `..` follows a symbolic link."""
    absolute = os.path.abspath(path)
    return absolute if os.path.realpath(absolute) == os.path.realpath(path) else os.path.realpath(path)


def _read_list(name: str, archive: str) -> list[str]:
    """The paths in a list of paths: those of Common Crawl lie in `archive`, others are as they are written.

    Empty lines and those that start with # do not count. A byte order mark and line ends of other systems do not matter.
    """
    try:
        with open_input(Input(name, -1, "")) as file:
            data = file.read()
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except Exception as error:
        raise UsageError(f"{printable(name)}: cannot be read as a list of paths ({reason(error)})") from error
    paths = [line.strip() for line in re.split(r"[\r\n]+", text)]
    paths = [path for path in paths if path and not path.startswith("#")]
    if not paths:
        raise UsageError(f"{printable(name)}: this list of paths is empty")
    folder = os.path.dirname(os.path.abspath(name)) if "://" not in name else None
    return [_of_list(path, folder, archive) for path in paths]


def _of_list(path: str, folder: str | None, archive: str) -> str:
    path = path.removeprefix("file://")
    if "\0" in path:
        raise UsageError(f"{printable(path)}: a list of paths names this, which is no path")
    if "://" in path:
        return path
    if os.path.isabs(path):
        return _absolute(path)
    if folder and os.path.exists(os.path.join(folder, path)):
        return _absolute(os.path.join(folder, path))
    if path.startswith("crawl-data/"):
        return archive + path
    if folder:
        raise UsageError(f"{printable(path)}: a list of paths in {folder} names this file, which is not there")
    return path
