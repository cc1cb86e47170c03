"""What the steps after Clean need to know of a run."""

from typing import NamedTuple

from c4build.flow.clean import CleanSettings
from c4build.flow.corpus import Corpus
from c4build.flow.kit import Run
from c4build.flow.pagefiles import PageFile
from c4build.page import FEATURES, PROVENANCE
from c4build.rules.tables import RuleSet, Variant
from c4build.write.files import join
from c4build.write.metadata import C4_CITATION, Dataset
from c4build.write.samples import samples_name
from c4build.write.shards import dropped_name
from c4build.write.statistics import statistics_name

DATASET = "c4"


class FinishSettings(NamedTuple):
    run: Run
    clean: CleanSettings
    variants: tuple[Variant, ...]
    track_of: tuple[int, ...]  # for each variant the index of its track in `clean.tracks`
    bad_words: tuple[str, ...]

    @property
    def corpora(self) -> list[Corpus]:
        """One of each variant."""
        clean = self.clean
        beside: tuple[str, ...] = (
            (samples_name(self.run.format), statistics_name(self.run.format)) if clean.samples else ()
        )
        if format := clean.write_dropped:
            beside += tuple(dropped_name(format, DATASET, index, self.run.shards) for index in range(self.run.shards))
        found = (corpus_of(self.run.out, variant, clean.rules, clean.provenance) for variant in self.variants)
        return [corpus._replace(beside=beside) for corpus in found]

    def columns_in(self, file: PageFile) -> list[int]:
        """For each variant the place of its byte in the reasons of a page file, which may have other tracks too."""
        keys = self.clean.track_keys()
        return [file.tracks.index(keys[track]) for track in self.track_of]


def features_of(provenance: bool) -> tuple[str, ...]:
    """The fields of an example, in their order."""
    return FEATURES + PROVENANCE if provenance else FEATURES


def corpus_of(out: str, variant: Variant, rules: RuleSet, provenance: bool = False) -> Corpus:
    """A variant's corpus below an output folder."""
    dataset = Dataset(
        name=DATASET,
        config=variant.name,
        version=rules.version,
        description=f"{variant.paper_name}, made from Common Crawl by c4build under the rules {rules.name}.",
        citation=C4_CITATION,
        homepage="https://github.com/google-research/text-to-text-transfer-transformer#datasets",
        features=features_of(provenance),
    )
    return Corpus(dataset, join(out, DATASET, variant.name, rules.version))
