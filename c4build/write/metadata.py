"""What makes a folder of shards a TFDS data set: features.json and, last of all, dataset_info.json."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from c4build.write.files import FileSums, join, whole_file

C4_CITATION = """@article{2019t5,
  author = {Colin Raffel and Noam Shazeer and Adam Roberts and Katherine Lee and Sharan Narang and Michael Matena and Yanqi Zhou and Wei Li and Peter J. Liu},
  title = {Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer},
  journal = {arXiv e-prints},
  year = {2019},
  eprint = {1910.10683},
}"""


class Split(NamedTuple):
    """The shards of one split, in order."""

    shard_lengths: Sequence[int]  # examples
    num_bytes: int


class Dataset(NamedTuple):
    """What TFDS wants to know of a data set besides its shards."""

    name: str
    config: str
    version: str
    description: str
    citation: str
    homepage: str
    features: Sequence[str]


METADATA = ("features.json", "dataset_info.json")


def write_metadata(folder: str, dataset: Dataset, splits: Mapping[str, Split], file_format: str, sums: FileSums):
    """Writes TFDS's metadata into `folder`, each file whole, dataset_info.json last.

    Args:
      folder: the data set's version folder, which holds the shards.
      dataset: its name and description; each feature is a text.
      splits: by name; of those without examples only `train` is named, since TFDS loads none where it can load one.
      file_format: TFDS's name of the format.
      sums: where the files' sizes and digests are noted.
    """
    import tensorflow_datasets as tfds
    from google.protobuf import json_format
    from tensorflow_datasets.core import dataset_info

    identity = dataset_info.DatasetIdentity(
        name=dataset.name,
        version=tfds.core.Version(dataset.version),
        data_dir=folder,
        module_name="c4build",
        config_name=dataset.config or None,
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description=dataset.description,
        citation=dataset.citation,
        homepage=dataset.homepage,
        features=tfds.features.FeaturesDict({name: tfds.features.Text() for name in dataset.features}),
    )
    info.set_file_format(file_format)
    template = tfds.core.ShardedFileTemplate(dataset_name=dataset.name, data_dir=folder, filetype_suffix=file_format)
    info.set_splits(
        tfds.core.splits.SplitDict(
            [
                tfds.core.SplitInfo(
                    name=name,
                    shard_lengths=list(split.shard_lengths),
                    num_bytes=split.num_bytes,
                    filename_template=template,
                )
                for name, split in splits.items()
                if sum(split.shard_lengths) or name == "train"
            ]
        )
    )
    # As `write_to_directory` has them, which writes to folders that it makes by itself.
    features = json.dumps(json_format.MessageToDict(info.features.to_proto()), indent=4, sort_keys=True)
    for name, text in zip(METADATA, (features, info.as_json)):
        with whole_file(join(folder, name), sums) as file:
            file.write(text.encode())
