"""tf.train.Example of byte features, and TFRecord's framing: small enough to need neither TensorFlow nor protobuf.

An Example is a map of names to lists of bytes; TFRecord puts a length and two masked CRC-32C around it
(tensorflow/core/example/example.proto, tensorflow/core/lib/io/record_writer.h).
"""

import struct
from functools import lru_cache
from typing import Mapping, Union

import google_crc32c


def encode_example(features: Mapping[str, Union[str, bytes]]) -> bytes:
    """A serialised tf.train.Example with one bytes value a feature, in the order of `features`; text in UTF-8."""
    parts = [b"", b""]
    size = 0
    for name, value in features.items():
        if type(value) is str:
            value = value.encode()
        head = _head(name, len(value))
        size += len(head) + len(value)
        parts += head, value
    parts[0] = b"\n" + _varint(size)  # Example.features
    return b"".join(parts)


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
    return b"".join((_length(len(record)), record, masked_crc(record)))


@lru_cache(maxsize=1 << 14)
def _length(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + masked_crc(length)


def _varint(value: int) -> bytes:
    if value < 1 << 7:
        return bytes((value,))
    if value < 1 << 14:
        return bytes((value & 127 | 128, value >> 7))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
