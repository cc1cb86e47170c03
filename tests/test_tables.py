"""Tables between stages: whatever becomes of the file, what is read of it is what was written, or an error says so."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.errors import CorruptFileError
from c4build.page import KEY_SCHEMA, PAGE_SCHEMA
from c4build.write.files import read_sealed, write_sealed
from c4build.write.tables import TableReader, open_table, read_table

# All kinds of columns that there are.
SCHEMA = pa.schema([*KEY_SCHEMA, *(field for field in PAGE_SCHEMA if field.name not in KEY_SCHEMA.names)])
OPTIONS = ({"compression": "none", "use_dictionary": False, "write_statistics": False}, {"compression": "lz4"})


def rows(seed: int, count: int) -> list[dict]:
    choose = random.Random(seed)
    return [
        {
            "reasons": bytes(choose.randrange(3) for _ in range(5)),
            "number": number,
            "chance": choose.randrange(2**64),
            "url_hash": choose.randbytes(16),
            "timestamp": "2019-04-18T12:00:00Z",
            "url": choose.choice([None, f"http://example.org/{seed}/{number}"]),
            "content_type": choose.choice([None, "text/plain"]),
            "content_length": choose.choice([None, "", "512"]),
            "validation": choose.choice([None, True, False]),
            "rank": choose.randrange(2**64),
            "keys": choose.choice([None, b"", choose.randbytes(32)]),
            "text": choose.choice([None, "", "Ein Satz. \u4e00 sentence.\n" * choose.randrange(9)]),
            "raw": choose.choice([None, b"raw"]),
        }
        for number in range(count)
    ]


def write(path, groups: list[list[dict]], options: dict = OPTIONS[0]):
    with open_table(str(path), SCHEMA, **options) as table:
        for group in groups:
            table.write([pa.array([row[field.name] for row in group], field.type) for field in SCHEMA])
        table.fields = {"of": "a test"}


def read(path, columns=None) -> list[list[dict]]:
    with read_table(str(path)) as table:
        assert table.fields == {"of": "a test"}
        return [table.read(group, columns).to_pylist() for group in range(len(table.groups))]


@pytest.mark.parametrize("options", OPTIONS)
@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(1, 40), max_size=3), seed=st.integers(0, 999))
def test_what_is_written_is_read(options, counts, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    groups = [rows(seed + number, count) for number, count in enumerate(counts)]
    write(path, groups, options)
    assert read(path) == groups
    urls = [[{"url": row["url"]} for row in group] for group in groups]
    assert read(path, ["url"]) == urls


@pytest.mark.parametrize("options", OPTIONS)
def test_one_flipped_bit_anywhere_gives_an_error_or_what_was_written(options, tmp_path):
    path = tmp_path / "table.parquet"
    groups = [rows(1, 7), rows(2, 5)]
    write(path, groups, options)
    data = path.read_bytes()
    choose, errors = random.Random(1), 0
    for place in sorted(choose.sample(range(len(data)), min(len(data), 1000))):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << choose.randrange(8)]) + data[place + 1 :])
        try:
            assert read(path) == groups
        except CorruptFileError as error:
            errors += 1
            assert str(path) in str(error)
    assert errors > 600


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data + b"x"])
def test_a_table_that_was_cut_or_lengthened_is_an_error(damage, tmp_path):
    path = tmp_path / "table.parquet"
    write(path, [rows(1, 7)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptFileError, match="it does not hold what was written; run the same command again"):
        read(path)


def test_a_table_that_is_gone_is_an_error_that_says_so(tmp_path):
    with pytest.raises(CorruptFileError, match="it is gone; run the same command again"):
        read(tmp_path / "none.parquet")


def test_columns_that_changed_places_are_noticed(tmp_path):
    """Two columns of one type and length, one read for the other: Parquet's own checksums are right."""
    path, other = tmp_path / "table.parquet", tmp_path / "other.parquet"
    write(path, [rows(1, 7)])
    swapped = [{**row, "url": row["content_type"], "content_type": row["url"]} for row in rows(1, 7)]
    write(other, [swapped])
    with open(path, "rb") as one, open(other, "rb") as two:
        sound, odd = TableReader(str(path), one), TableReader(str(other), two)
        odd.groups = sound.groups
        with pytest.raises(CorruptFileError):
            odd.read(0, ["url"])


@settings(max_examples=60, deadline=None)
@given(
    value=st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists)),
    place=st.floats(0, 0.999),
    bit=st.integers(0, 7),
)
def test_a_sealed_file_with_a_flipped_bit_is_an_error_or_means_the_same(value, place, bit, tmp_path_factory):
    path = tmp_path_factory.mktemp("sealed") / "sealed.json"
    value.pop("seal", None)
    write_sealed(str(path), value)
    assert read_sealed(str(path)) == value
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        assert read_sealed(str(path)) == value
    except CorruptFileError as error:
        assert str(path) in str(error)
