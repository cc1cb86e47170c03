"""tf.train.Example of byte features, and TFRecord's framing: small enough to need neither TensorFlow nor protobuf.

An Example is a map of names to lists of bytes; TFRecord puts a length and two masked CRC-32C around it
(tensorflow/core/example/example.proto, tensorflow/core/lib/io/record_writer.h).
"""

import struct
from functools import lru_cache
from typing import Mapping

import google_crc32c


def encode_example(features: Mapping[str, bytes]) -> bytes:
    """A serialised tf.train.Example with one bytes value a feature, in the order of `features`."""
    parts, total = [], 0
    for name, value in features.items():
        size = len(value)
        value_head = b"\n" + _varint(size)  # BytesList.value
        list_size = len(value_head) + size
        list_head = b"\n" + _varint(list_size)  # Feature.bytes_list
        feature_size = len(list_head) + list_size
        key, key_size = _key(name)
        feature_head = b"\x12" + _varint(feature_size)  # the map entry's value
        entry_size = key_size + len(feature_head) + feature_size
        entry_head = b"\n" + _varint(entry_size)  # Features.feature: a map entry of key and value
        parts += (entry_head, key, feature_head, list_head, value_head, value)
        total += len(entry_head) + entry_size
    return b"".join((b"\n", _varint(total), *parts))  # Example.features


@lru_cache(maxsize=None)
def _key(name: str) -> tuple[bytes, int]:
    """The map entry's key, and its size."""
    data = name.encode()
    key = b"\n" + _varint(len(data)) + data
    return key, len(key)


_ONE_BYTE = [bytes((value,)) for value in range(128)]


def frame(record: bytes) -> bytes:
    """`record` as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def _varint(value: int) -> bytes:
    if value < 128:
        return _ONE_BYTE[value]
    if value < 16384:
        return bytes((value & 127 | 128, value >> 7))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
