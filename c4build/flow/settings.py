"""What the steps after Clean need to know of a run."""

from typing import NamedTuple

from c4build.flow.clean import CleanSettings
from c4build.flow.pagefiles import PageFile
from c4build.rules.tables import Variant
from c4build.write.files import join

DATASET = "c4"


class FinishSettings(NamedTuple):
    clean: CleanSettings
    variants: tuple[Variant, ...]
    track_of: tuple[int, ...]  # for each variant the index of its track in `clean.tracks`
    bad_words: tuple[str, ...]
    format: str
    shards: int
    files: int  # inputs
    out: str
    work: str  # for what is made on the way
    fingerprint: str  # of all that decides the shards

    @property
    def units(self) -> str:
        """The folder of what finished units leave."""
        return join(self.work, "units", self.fingerprint)

    def folder(self, variant: str) -> str:
        return join(self.out, DATASET, variant, self.clean.rules.version)

    def columns_in(self, file: PageFile) -> list[int]:
        """For each variant the place of its byte in the reasons of a page file, which may have other tracks too."""
        keys = self.clean.track_keys()
        return [file.tracks.index(keys[track]) for track in self.track_of]
