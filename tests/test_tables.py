"""Tables between stages: whatever becomes of the file, what is read of it is what was written, or an error says so."""

import io
import json
import zlib
from hashlib import sha256

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.errors import CorruptFileError
from c4build.flow.candidates import _SCHEMA as CANDIDATES
from c4build.page import KEY_SCHEMA, PAGE_SCHEMA
from c4build.write.files import read_sealed, write_sealed
from c4build.write.tables import TableReader, open_table, read_table, truths

TYPES = sorted(
    {pa.uint32(), pa.bool_(), *(field.type for schema in (KEY_SCHEMA, PAGE_SCHEMA, CANDIDATES) for field in schema)},
    key=str,
)


def values_of(type: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_integer(type):
        top = 2**type.bit_width
        return st.integers(0, top - 1) if str(type).startswith("u") else st.integers(-top // 2, top // 2 - 1)
    if pa.types.is_boolean(type):
        return st.booleans()
    if pa.types.is_fixed_size_binary(type):
        return st.binary(min_size=type.byte_width, max_size=type.byte_width)
    return st.text(max_size=20) if type == pa.string() else st.binary(max_size=20)


@st.composite
def arrays(draw, type: pa.DataType, rows: int) -> pa.Array:
    """A column, which may be a part of a longer one."""
    value = draw(st.sampled_from([values_of(type), st.none() | values_of(type), st.none()]))
    before, behind = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    count = before + rows + behind
    return pa.array(draw(st.lists(value, min_size=count, max_size=count)), type).slice(before, rows)


@st.composite
def tables(draw) -> tuple[pa.Schema, list[list[pa.Array]], str | None]:
    """A schema, the columns of row groups, and how they are packed."""
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
    counts = draw(st.lists(st.integers(0, 20), max_size=3))
    groups = [[draw(arrays(type, count)) for type in types] for count in counts]
    return (
        pa.schema([(f"c\u00e9{at}", type) for at, type in enumerate(types)]),
        groups,
        draw(st.sampled_from([None, "lz4"])),
    )


def write(path, schema: pa.Schema, groups: list[list[pa.Array]], compression: str | None = None) -> bytes:
    """Writes a table; returns its foot."""
    with open_table(str(path), schema, compression=compression) as table:
        for number, group in enumerate(groups):
            table.write(group, {"number": number})
        table.fields = {"of": "a t\u00e9st", "content": table.content()}
    return table.foot


def read(path, foot: bytes = b"", columns=None) -> list[pa.RecordBatch]:
    with read_table(str(path), foot) as table:
        assert table.fields["of"] == "a t\u00e9st"
        assert [group["number"] for group in table.groups] == list(range(len(table.groups)))
        found = [table.read(group, columns) for group in range(len(table.groups))]
        table.check()
    return found


SCHEMA = pa.schema([("n", pa.uint32()), ("a", pa.string()), ("b", pa.string()), ("c", pa.bool_())])
GROUPS = [
    [pa.array(range(2)), pa.array(["\u00e9", None]), pa.array(["x", ""]), pa.array([None, True])],
    [pa.array(range(40)), pa.array(["one"] * 40), pa.array(["two"] * 40), pa.array([True] * 40)],
]
GROUPS = [[column.cast(field.type) for column, field in zip(group, SCHEMA)] for group in GROUPS]


@settings(max_examples=100, deadline=None)
@given(table=tables(), data=st.data())
def test_what_is_written_is_read(table, data, tmp_path_factory):
    (schema, groups, compression), path = table, tmp_path_factory.mktemp("table") / "table"
    foot = write(path, schema, groups, compression)
    wanted = [pa.record_batch(group, schema=schema) for group in groups]
    for known in (b"", foot):
        found = read(path, known)
        assert found == wanted
        for batch in found:
            batch.validate(full=True)
    columns = data.draw(st.lists(st.sampled_from(schema.names), min_size=1, unique=True))
    in_order = [name for name in schema.names if name in columns]
    assert read(path, columns=columns) == [batch.select(in_order) for batch in wanted]
    with open(path, "rb") as file:
        assert read(path, TableReader(str(path), file).foot()) == wanted


def assert_damaged(data: bytes, said: dict | None = None):
    with pytest.raises(CorruptFileError, match="^a table: it does not hold what was written$"):
        TableReader("a table", io.BytesIO(data), said).check()


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_bit_that_flips_anywhere_a_cut_anywhere_and_a_byte_more_anywhere_are_noticed(compression, tmp_path):
    """Padding, the foot and what stands behind it among them."""
    path = tmp_path / "table"
    said = json.loads(zlib.decompress(write(path, SCHEMA, GROUPS, compression)))
    data = path.read_bytes()
    TableReader("a table", io.BytesIO(data), said).check()
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        assert_damaged(flipped)
        assert_damaged(data[:place])
        assert_damaged(data[:place] + b"\0" + data[place:])
        if place < said["end"]:
            assert_damaged(flipped, said)
            assert_damaged(data[:place], said)
    assert_damaged(data + b"x")


@settings(max_examples=100, deadline=None)
@given(table=tables(), data=st.data())
def test_whatever_becomes_of_a_table_is_noticed(table, data, tmp_path_factory):
    (schema, groups, compression), path = table, tmp_path_factory.mktemp("table") / "table"
    write(path, schema, groups, compression)
    whole = path.read_bytes()
    places = st.integers(0, len(whole))
    kind = data.draw(st.sampled_from(["flipped", "cut", "cut out", "put in", "other"]))
    start, stop = sorted([data.draw(places), data.draw(places)])
    if kind == "flipped":
        bit = data.draw(st.integers(0, 8 * len(whole) - 1))
        spoiled = whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :]
    elif kind == "cut":
        spoiled = whole[:start]
    elif kind == "cut out":
        spoiled = whole[:start] + whole[stop:]
    else:
        put_in = data.draw(st.binary(min_size=1, max_size=60) | st.just(whole[start:stop]))
        spoiled = whole[:start] + put_in + whole[start if kind == "put in" else start + len(put_in) :]
    if spoiled != whole:
        assert_damaged(spoiled)


@given(st.data(), st.integers(0, 20))
def test_truths_are_what_arrow_finds(data, rows):
    column = data.draw(arrays(pa.bool_(), rows))
    assert truths(column).tolist() == column.fill_null(False).to_pylist()


def test_what_changed_places_is_noticed(tmp_path):
    """Two columns of a row group that are of one size, and two tables one behind the other."""
    path = tmp_path / "table"
    write(path, SCHEMA, GROUPS)
    data = path.read_bytes()
    with read_table(str(path)) as table:
        one, two = (table.groups[1]["blocks"][name] for name in ("a", "b"))
    (start, size, _), (other, same, _) = one, two
    assert size == same and other == start + size
    assert_damaged(data[:start] + data[other:][:size] + data[start:][:size] + data[other + size :])
    assert_damaged(data + data)


def test_of_a_column_that_is_not_read_nothing_is_noticed_and_nothing_read(tmp_path):
    path = tmp_path / "table"
    write(path, SCHEMA, GROUPS)
    wanted, data = read(path, columns=["a"]), path.read_bytes()
    with read_table(str(path)) as table:
        start, size, _ = table.groups[1]["blocks"]["b"]
    path.write_bytes(data[:start] + bytes(size) + data[start + size :])
    with read_table(str(path)) as table:
        assert [table.read(group, ["a"]) for group in range(2)] == wanted
        with pytest.raises(CorruptFileError):
            table.read(1, ["b"])
        with pytest.raises(CorruptFileError):
            table.check()


class Counting(io.BytesIO):
    """A file that is read within its bounds only; as one in a store it knows no place before its start."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return super().seek(max(offset + (len(self.getvalue()) if whence == io.SEEK_END else 0), 0))

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= max(len(self.getvalue()) - self.tell(), 40):
            pytest.fail(f"{size} bytes were asked for")
        return super().read(size)


SOUND = [[0, 8, 0], [8, 4, 0]]


@pytest.mark.parametrize(
    "blocks, end",
    [
        ([[0, 8, 0], [8, 5, 0]], 12), ([[0, 8, 0], [7, 5, 0]], 12), ([[8, 4, 0], [0, 8, 0]], 12), ([[1, 7, 0], [8, 4, 0]], 12),
        ([[0, 8, 0], [8, -4, 0], [4, 8, 0]], 12), ([[0, 2**63, 0]], 2**63), ([[0, -1, 0]], 12), ([[0, -1, 0]], -1),
        ([[0, 8, 0]], 12), ([], 12), (SOUND, 11), (SOUND, None), ([[0, "12", 0]], 12), ([[0, 12]], 12), (None, 12), ({}, 12),
    ],
)  # fmt: skip
def test_a_foot_that_does_not_fit_its_file_is_an_error_before_anything_is_read_by_it(blocks, end):
    """Its own digest is right."""

    def table(blocks, end) -> TableReader:
        columns = dict(zip("abcd", blocks)) if isinstance(blocks, list) else blocks
        foot = json.dumps({"fields": {}, "groups": [{"blocks": columns}], "end": end}).encode()
        return TableReader(
            "table", Counting(bytes(12) + foot + sha256(foot).digest() + len(foot).to_bytes(8, "little"))
        )

    assert len(table(SOUND, 12).groups) == 1
    with pytest.raises(CorruptFileError):
        table(blocks, end)


@pytest.mark.parametrize("foot", [b"", b"{}", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_a_foot_that_says_something_else_is_an_error(foot):
    with pytest.raises(CorruptFileError, match="^table: it does not hold what was written$"):
        TableReader("table", Counting(foot + sha256(foot).digest() + len(foot).to_bytes(8, "little")))


@pytest.mark.parametrize("size", [1, 41, 2**40, 2**63, 2**64 - 1])
def test_a_foot_is_not_larger_than_its_file(size):
    with pytest.raises(CorruptFileError, match="^table: it does not hold what was written$"):
        TableReader("table", Counting(bytes(32) + size.to_bytes(8, "little")))


def test_a_table_that_is_gone_or_empty_is_an_error_that_says_so(tmp_path):
    path = tmp_path / "table"
    with pytest.raises(
        CorruptFileError, match=f"^{path}: it is gone; run the same command again and it is made again$"
    ):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(CorruptFileError, match=f"^{path}: it does not hold .* and it is made again$"):
        read(path)


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
