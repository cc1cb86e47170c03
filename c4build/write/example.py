"""tf.train.Example of byte features, and TFRecord's framing: small enough to need neither TensorFlow nor protobuf.

An Example is a map of names to lists of bytes; TFRecord puts a length and two masked CRC-32C around it
(tensorflow/core/example/example.proto, tensorflow/core/lib/io/record_writer.h).
"""

import struct
from typing import Mapping

import google_crc32c


def encode_example(features: Mapping[str, bytes]) -> bytes:
    """A serialised tf.train.Example with one bytes value a feature, in the order of `features`."""
    entries = []
    for name, value in features.items():
        feature = _field(1, _field(1, value))  # Feature.bytes_list { value }
        entries.append(_field(1, _field(1, name.encode()) + _field(2, feature)))  # Features.feature: a map entry
    return _field(1, b"".join(entries))  # Example.features


def frame(record: bytes) -> bytes:
    """`record` as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def _field(number: int, value: bytes) -> bytes:
    return b"".join((bytes((number << 3 | 2,)), _varint(len(value)), value))


def _varint(value: int) -> bytes:
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
