"""How a corpus is loaded, as lines of Python."""

import json

from c4build.write.catalog import Place


def ways_to_load(out: str, place: Place, format: str, config: str) -> list[tuple[str, str]]:
    """(library, a line of Python) for each library that reads the format.

    Args:
      out: the folder above all corpora, as a person names it.
      place: the corpus' folder below it.
      format: tfrecord | array_record | jsonl | parquet.
      config: what the card in `out` calls it, see `config_names`.
    """
    folder = _text("/".join((out.rstrip("/"), *place)))
    name = _text(f"{'/'.join(place[:-1])}:{place[-1]}")
    datasets = (
        "Hugging Face datasets, by the README.md beside it",
        f"datasets.load_dataset({_text(out)}, {_text(config)})",
    )
    if format == "tfrecord":
        return [
            ("TensorFlow Datasets", f"tfds.load({name}, data_dir={_text(out)}, download=False)"),
            ("TensorFlow Datasets, by its folder", f"tfds.builder_from_directory({folder}).as_dataset()"),
        ]
    if format == "array_record":
        return [
            (
                "TensorFlow Datasets, any example by its number",
                f"tfds.data_source({name}, data_dir={_text(out)}, download=False)",
            )
        ]
    if format == "parquet":
        return [datasets, ("pandas", f"pandas.read_parquet({folder})")]
    return [datasets]


def _text(value: str) -> str:
    return json.dumps(value)
