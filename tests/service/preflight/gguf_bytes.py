"""GGUF files written byte by byte, so that every way of being wrong can be written too."""

import struct
from collections.abc import Mapping, Sequence

TEXT, UNSIGNED, FLOAT, ARRAY = 8, 4, 6, 9
Value = int | float | str | Sequence[str] | Sequence[int]


def text(value: str | bytes) -> bytes:
    given = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(given)) + given


def value_bytes(value: Value) -> bytes:
    """With its type in front."""
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + text(value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT, value)
    if isinstance(value, int):
        return struct.pack("<II", UNSIGNED, value)
    if value and isinstance(value[0], str):
        texts = b"".join(text(one) for one in value if isinstance(one, str))
        return struct.pack("<IIQ", ARRAY, TEXT, len(value)) + texts
    numbers = b"".join(struct.pack("<I", one) for one in value if isinstance(one, int))
    return struct.pack("<IIQ", ARRAY, UNSIGNED, len(value)) + numbers


def tensor_bytes(name: str, shape: Sequence[int], *, type_number: int, offset: int) -> bytes:
    """shape: rows first."""
    dimensions = struct.pack(f"<{len(shape)}Q", *reversed(shape))
    head = text(name) + struct.pack("<I", len(shape)) + dimensions
    return head + struct.pack("<IQ", type_number, offset)


def head(*, num_tensors: int, num_keys: int, version: int = 3, magic: bytes = b"GGUF") -> bytes:
    return magic + struct.pack("<IQQ", version, num_tensors, num_keys)


def gguf_bytes(
    metadata: Mapping[str, Value], tensors: Mapping[str, Sequence[int]], *, type_number: int = 0
) -> bytes:
    """A whole file; its tensors, all of one type of four bytes an element, are zeros."""
    table, offset = b"", 0
    for name, shape in tensors.items():
        table += tensor_bytes(name, shape, type_number=type_number, offset=offset)
        num_bytes = 4
        for size in shape:
            num_bytes *= size
        offset += -(-num_bytes // 32) * 32
    start = head(num_tensors=len(tensors), num_keys=len(metadata))
    start += b"".join(text(key) + value_bytes(value) for key, value in metadata.items()) + table
    return start + bytes(-len(start) % 32) + bytes(offset)
