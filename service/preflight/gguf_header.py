"""The head of a GGUF file: its metadata and the table of its tensors, read as hostile input, without weights.

A parser of our own because the format is small and the file comes from others: every length is bounded before
anything of that length is read, and a vocabulary is read in a fraction of a second.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

GGUF_SUFFIX = ".gguf"
MAGIC = b"GGUF"
VERSIONS = (2, 3)

MAX_HEADER_BYTES = 128 * 2**20
MAX_METADATA_KEYS = 4096
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 4
MAX_NAME_BYTES = 1024
MAX_TEXT_BYTES = 4 * 2**20
MAX_KEPT_VALUES = 2**21  # of an array; a vocabulary has a tenth of it
DEFAULT_ALIGNMENT = 32

UNSIGNED_32, TEXT, ARRAY = 4, 8, 9
SCALARS: Mapping[int, struct.Struct] = {
    number: struct.Struct(f"<{letter}")
    for number, letter in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        UNSIGNED_32: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
COUNT = struct.Struct("<Q")

# Arrays that are read as they are; of the others, merges and scores above all, nothing is kept.
KEPT_ARRAYS = frozenset({"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"})

GgufValue = int | float | str | tuple[int | float | str, ...]


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """shape: as torch has it, rows first. offset: bytes from the start of the file's tensor data."""

    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """data_offset: bytes from the start of the file to its tensor data."""

    metadata: Mapping[str, GgufValue]
    tensors: tuple[GgufTensor, ...]
    data_offset: int
    size_bytes: int

    def text(self, key: str) -> str | None:
        """The text of the key, None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def whole_number(self, key: str) -> int | None:
        """The number of the key, None where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class GgufError(ValueError):
    """Why the file cannot be read, as a clause without a full stop."""


def read_gguf_header(path: Path) -> GgufHeader:
    """Raises GgufError for a file that is no whole GGUF file of a version known here."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            return _Reader(file, size_bytes).header()
    except OSError as error:
        raise GgufError(f"it cannot be read ({error.strerror or error})") from error


class _Reader:
    """Reads from the start to the end of the header, and no further."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._limit = min(size_bytes, MAX_HEADER_BYTES)
        self._position = 0

    def header(self) -> GgufHeader:
        if self._bytes(min(4, self._limit)) != MAGIC:
            raise GgufError(
                "it does not begin as a GGUF file; a git-lfs pointer or an interrupted download looks "
                "like this"
            )
        version = self._scalar(UNSIGNED_32)
        if version not in VERSIONS:
            raise GgufError(
                f"its GGUF version is {version}, and little-endian files of versions 2 and 3 are read"
            )
        num_tensors = self._count("tensors", MAX_TENSORS)
        num_keys = self._count("metadata keys", MAX_METADATA_KEYS)
        metadata: dict[str, GgufValue] = {}
        for _ in range(num_keys):
            key = self._text(MAX_NAME_BYTES)
            if key in metadata:
                raise GgufError(f"its metadata has {key[:80]!r} twice")
            value = self._value(is_kept=key in KEPT_ARRAYS)
            if value is not None:
                metadata[key] = value
        tensors = tuple(self._tensor() for _ in range(num_tensors))
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= 2**20:
            raise GgufError(f"its alignment is {str(alignment)[:20]}, not 1 to {2**20:,} bytes")
        data_offset = -(-self._position // alignment) * alignment
        return GgufHeader(metadata, tensors, data_offset, self._size_bytes)

    def _tensor(self) -> GgufTensor:
        name = self._text(MAX_NAME_BYTES)
        num_dimensions = self._scalar(UNSIGNED_32)
        if not isinstance(num_dimensions, int) or not 1 <= num_dimensions <= MAX_DIMENSIONS:
            raise GgufError(f"tensor {name[:80]!r} has {num_dimensions} dimensions, not 1 to 4")
        dimensions = [self._number() for _ in range(num_dimensions)]
        type_number = int(self._scalar(UNSIGNED_32))
        # The file has the fastest-moving dimension first.
        return GgufTensor(name, tuple(reversed(dimensions)), type_number, self._number())

    def _value(self, *, is_kept: bool) -> GgufValue | None:
        """None of an array that is not kept."""
        type_number = int(self._scalar(UNSIGNED_32))
        if type_number == TEXT:
            return self._text(MAX_TEXT_BYTES)
        if type_number == ARRAY:
            return self._array(is_kept=is_kept)
        if type_number not in SCALARS:
            raise GgufError(f"its metadata has a value of the unknown type {type_number}")
        return self._scalar(type_number)

    def _array(self, *, is_kept: bool) -> tuple[int | float | str, ...] | None:
        type_number, length = int(self._scalar(UNSIGNED_32)), self._number()
        if is_kept and length > MAX_KEPT_VALUES:
            raise GgufError(f"its vocabulary has {length:,} entries, not up to {MAX_KEPT_VALUES:,}")
        if type_number in SCALARS:
            self._check_room(length * SCALARS[type_number].size)
            values: list[int | float | str] = []
            if is_kept:
                values = [self._scalar(type_number) for _ in range(length)]
            else:
                self._bytes(length * SCALARS[type_number].size)
        elif type_number == TEXT:
            self._check_room(length * COUNT.size)
            values = []
            for _ in range(length):
                if is_kept:
                    values.append(self._text(MAX_TEXT_BYTES))
                else:
                    self._bytes(self._length(MAX_TEXT_BYTES))
        else:
            raise GgufError(f"its metadata has an array of the unknown type {type_number}")
        return tuple(values) if is_kept else None

    def _text(self, max_bytes: int) -> str:
        given = self._bytes(self._length(max_bytes))
        try:
            return given.decode()
        except UnicodeDecodeError as error:
            raise GgufError(f"it has the text {given[:40]!r}, which is not UTF-8") from error

    def _length(self, max_bytes: int) -> int:
        length = self._number()
        if length > max_bytes:
            raise GgufError(
                f"it has a text of {length:,} bytes, and at most {max_bytes:,} are read"
            )
        return length

    def _count(self, of_what: str, largest: int) -> int:
        number = self._number()
        if number > largest:
            raise GgufError(f"it has {number:,} {of_what}, and at most {largest:,} are read")
        return number

    def _number(self) -> int:
        return int(COUNT.unpack(self._bytes(COUNT.size))[0])

    def _scalar(self, type_number: int) -> int | float:
        layout = SCALARS[type_number]
        value: int | float = layout.unpack(self._bytes(layout.size))[0]
        return value

    def _bytes(self, number: int) -> bytes:
        self._check_room(number)
        given = self._file.read(number)
        if len(given) < number:
            raise GgufError("it ends inside its header; an interrupted download looks like this")
        self._position += number
        return given

    def _check_room(self, number: int) -> None:
        if self._position + number > self._limit:
            raise GgufError(
                f"its header goes beyond byte {self._limit:,}, of the file or of what is read of one"
            )
