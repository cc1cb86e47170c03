"""The steps of `web` between Clean and Finish, on keys alone: which copy of a URL stays, and what lines or spans repeat.

What they are told and what they yield goes by number: of a group of files, of a list of URLs (below zero), of a bucket.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from c4build.dedup.keys import by_bucket, deal, hash_text, hashes
from c4build.dedup.newest import competing, newest
from c4build.dedup.repeats import repeats
from c4build.flow.finish import units_of_file
from c4build.flow.groups import Group, cut, repeat_keys, url_keys
from c4build.flow.keyfiles import Sent, fetch, name_of, send
from c4build.flow.runs import marks
from c4build.flow.stages import Keyed, Step, by_kind
from c4build.read.paths import Input
from c4build.read.url_list import read_urls
from c4build.rules.tables import bits_where
from c4build.rules.urls import normalize_url
from c4build.write.files import digest

_COUNTS = -1  # the key of counts among what groups of files lose
_LIST_CHUNK = 100_000  # URLs


def _names(sent: Iterable[Sent]) -> list:
    return [name_of(data) for data in sent]


def _lazily(parts: Callable[[], Iterable[tuple[int, bytes]]]) -> Iterator[tuple[int, bytes]]:
    """What `parts` gives, called when the first is asked for."""
    yield from parts()


class _KeyStep(Step):
    """A step that sends keys, or what they lose, to the next."""

    def _send(self, parts: Iterable[tuple[int, bytes]], kind: str, made_from: list) -> Iterator[tuple[int, Sent]]:
        noted = self.plan.key_files and self.plan.run.progress
        return send(marks.noting_keys(noted, kind, parts), self.plan.key_files, kind, made_from)


class UrlKeys(_KeyStep):
    """(group, its files) to (bucket, (group, keys of their URLs)); (list, its path) to (bucket, hashes of its URLs)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        target, values = element
        kinds = by_kind(values)
        buckets = kinds["opened"][0].urls
        if target < 0:
            (source,) = kinds["list"]
            yield from self._listed(source, buckets)
            return
        group, settings = Group(kinds["file"]), self.plan.finish
        made_from = [group.contents(), settings.clean.track_keys(), settings.track_of, buckets]
        for bucket, data in self._send(url_keys(group, settings, buckets), "urls", made_from):
            yield bucket, ("keys", (target, data))

    def _listed(self, source: Input, buckets: int) -> Iterator[Keyed]:
        digests: list[bytes] = []
        for url in read_urls(source, self.plan.transport):
            digests.append(hash_text(normalize_url(url)))
            if len(digests) == _LIST_CHUNK:
                yield from self._chunk(digests, buckets)
                digests = []
        yield from self._chunk(digests, buckets)

    def _chunk(self, digests: list[bytes], buckets: int) -> Iterator[Keyed]:
        for bucket, data in by_bucket([deal(hashes(b"".join(digests)), buckets)], buckets):
            yield bucket, ("listed", data.tobytes())


class Newest(_KeyStep):
    """(bucket, URL keys and listed URLs) to (group, losses) and counts of the pages that end here."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        kinds = by_kind(element[1])
        if "keys" not in kinds:
            return
        sent = sorted(kinds["keys"])
        listed = b"".join(sorted(kinds.get("listed", []))) if self.plan.url_lists else None
        made_from = self._made_from(sent, listed)
        for group, data in self._send(self._decide(sent, listed), "losses", made_from):
            if group == _COUNTS:
                counts = Counter({(variant, code): count for variant, code, count in json.loads(fetch(data))})
                yield _COUNTS, ("counts", counts)
            else:
                yield group, ("losses", data)

    def _made_from(self, sent: list, listed: bytes | None) -> list:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        lists = None if listed is None else hashlib.sha256(listed).hexdigest()
        names = [[group, *_names([data])] for group, data in sent]
        return [names, lists, digest(rules.to_json()), [v.listed_urls_only for v in variants]]

    def _decide(self, sent: list, listed: bytes | None) -> Iterator[tuple[int, bytes]]:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        listed_bits = bits_where(lambda variant: variant.listed_urls_only, variants)
        keys = [(group, fetch(data)) for group, data in sent]
        losses, counts = newest(keys, listed, listed_bits, competing(rules), len(variants))
        yield from losses.items()
        yield _COUNTS, json.dumps([[*of, count] for of, count in sorted(counts.items())]).encode()


class RepeatKeys(_KeyStep):
    """(group, files and losses) to (bucket, (group, keys of lines or spans of pages still in)).

    What lines lose to others of their group is decided here: (-1 - group, repeats).
    """

    def process(self, element: Keyed) -> Iterator[Keyed]:
        target, values = element
        if target < 0:  # a list, which has no lines
            return
        kinds = by_kind(values)
        group, settings, sent = Group(kinds["file"]), self.plan.finish, sorted(kinds.get("losses", []))
        buckets = kinds["opened"][0].repeats
        made_from = [
            group.contents(), _names(sent), settings.clean.track_keys(), settings.track_of,
            [variant.deduplicated for variant in settings.variants], buckets,
        ]  # fmt: skip
        parts = _lazily(lambda: repeat_keys(group, b"".join(map(fetch, sent)), settings, buckets))
        for bucket, data in self._send(parts, "keys", made_from):
            yield (bucket, (target, data)) if bucket >= 0 else (-1 - target, ("repeats", data))


class Repeats(_KeyStep):
    """(bucket, keys of lines or spans) to (group, the positions that go)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        sent = sorted(element[1])
        made_from = [len(self.plan.finish.variants), *([group, *_names([data])] for group, data in sent)]
        for group, data in self._send(self._decide(sent), "repeats", made_from):
            yield group, ("repeats", data)

    def _decide(self, sent: list[tuple[int, Sent]]) -> Iterator[tuple[int, bytes]]:
        if len(sent) == 1:  # what a group has to itself was decided there
            return
        keys = [(group, fetch(data)) for group, data in sent]
        yield from repeats(keys, len(self.plan.finish.variants)).items()


class Cut(_KeyStep):
    """(group, its files and what they lose) to (unit, what is known of each file that has a part in it)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        kinds = by_kind(element[1])
        group = Group(kinds["file"])
        losses, gone = sorted(kinds.get("losses", [])), sorted(kinds.get("repeats", []))
        variants = len(self.plan.finish.variants)
        parts = _lazily(lambda: cut(group, b"".join(map(fetch, losses)), b"".join(map(fetch, gone)), variants))
        made_from = [group.contents(), _names(losses), _names(gone), variants]
        found = [data for _, data in self._send(parts, "cut", made_from)]  # two for each file
        for file, lost, repeated in zip(group.files, found[::2], found[1::2]):
            for unit in units_of_file(file.file, self.plan.run.inputs, self.plan.run.shards):
                yield unit, (file, lost, repeated)
