"""tf.train.Example of byte features, and TFRecord's framing: small enough to need neither TensorFlow nor protobuf.

An Example is a map of names to lists of bytes; TFRecord puts a length and two masked CRC-32C around it
(tensorflow/core/example/example.proto, tensorflow/core/lib/io/record_writer.h).
"""

import struct
from collections.abc import Mapping
from functools import lru_cache

import google_crc32c

Text = str | bytes  # bytes are UTF-8


def utf8(value: Text) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def encode_example(features: Mapping[str, Text]) -> bytes:
    """A serialised tf.train.Example with one bytes value a feature, in the order of `features`."""
    parts: list[bytes] = []
    for name, value in features.items():
        value = utf8(value)
        parts += (_head(name, len(value)), value)
    return b"".join((b"\n", _varint(sum(map(len, parts))), *parts))  # Example.features


@lru_cache(maxsize=1 << 14)
def _head(name: str, size: int) -> bytes:
    """All that stands in front of a feature's value of so many bytes."""
    head = b"\n" + _varint(size)  # BytesList.value
    head = b"\n" + _varint(len(head) + size) + head  # Feature.bytes_list
    head = b"\x12" + _varint(len(head) + size) + head  # the map entry's value
    key = name.encode()
    head = b"\n" + _varint(len(key)) + key + head  # the map entry's key
    return b"\n" + _varint(len(head) + size) + head  # Features.feature


def frame(record: bytes) -> bytes:
    """`record` as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, masked_crc(length), record, masked_crc(record)))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
