import struct
from pathlib import Path

import pytest

from service.preflight.gguf_header import GgufError, GgufTensor, read_gguf_header
from tests.service.preflight.gguf_bytes import ARRAY, gguf_bytes, head, tensor_bytes, text


def read(content: bytes, tmp_path: Path):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    return read_gguf_header(path)


def refusal(content: bytes, tmp_path: Path) -> str:
    with pytest.raises(GgufError) as refused:
        read(content, tmp_path)
    return str(refused.value)


def test_a_header_is_read_with_tensors_rows_first_and_only_the_vocabulary_of_its_arrays(tmp_path):
    content = gguf_bytes(
        {
            "general.architecture": "llama",
            "llama.block_count": 7,
            "llama.rope.freq_base": 0.5,
            "tokenizer.ggml.tokens": ["a", "é"],
            "tokenizer.ggml.merges": ["a b", "c d"],
            "tokenizer.ggml.token_type": [1, 3],
        },
        {"token_embd.weight": (5, 8), "output_norm.weight": (8,)},
    )

    header = read(content, tmp_path)

    assert header.metadata == {
        "general.architecture": "llama",
        "llama.block_count": 7,
        "llama.rope.freq_base": 0.5,
        "tokenizer.ggml.tokens": ("a", "é"),
        "tokenizer.ggml.token_type": (1, 3),
    }
    # 5 × 8 × 4 bytes is a multiple of the alignment, 32, so the next tensor follows at once.
    assert header.tensors == (
        GgufTensor("token_embd.weight", (5, 8), 0, 0),
        GgufTensor("output_norm.weight", (8,), 0, 160),
    )
    assert header.data_offset == len(content) - 160 - 32
    assert header.whole_number("llama.block_count") == 7
    assert header.whole_number("llama.rope.freq_base") is None
    assert header.text("general.architecture") == "llama"


HUGE = 2**40
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin as a GGUF file"),
        (LFS_POINTER, "git-lfs pointer"),
        (head(num_tensors=0, num_keys=0, version=1), "GGUF version is 1"),
        (head(num_tensors=0, num_keys=0)[:10], "beyond byte 10"),
        (head(num_tensors=HUGE, num_keys=0), "1,099,511,627,776 tensors, and at most 100,000"),
        (head(num_tensors=0, num_keys=HUGE), "metadata keys, and at most 4,096"),
        (head(num_tensors=0, num_keys=1) + struct.pack("<Q", HUGE), "a text of 1,099,511,627,776"),
        (head(num_tensors=0, num_keys=1) + text(b"\xff"), "not UTF-8"),
        (
            head(num_tensors=0, num_keys=1) + text("k") + struct.pack("<I", 77),
            "a value of the unknown type 77",
        ),
        (
            head(num_tensors=0, num_keys=1) + text("k") + struct.pack("<IIQ", ARRAY, 4, HUGE),
            "its header goes beyond byte",
        ),
        (
            head(num_tensors=0, num_keys=1)
            + text("tokenizer.ggml.tokens")
            + struct.pack("<IIQ", ARRAY, 8, HUGE),
            "its vocabulary has 1,099,511,627,776 entries",
        ),
        (
            head(num_tensors=0, num_keys=1) + text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1),
            "an array of the unknown type 9",
        ),
        (
            head(num_tensors=0, num_keys=2) + 2 * (text("k") + struct.pack("<II", 4, 1)),
            "has 'k' twice",
        ),
        (
            head(num_tensors=1, num_keys=0) + tensor_bytes("w", [], type_number=0, offset=0),
            "'w' has 0 dimensions",
        ),
        (
            head(num_tensors=0, num_keys=1)
            + text("general.alignment")
            + struct.pack("<II", 4, 2**31),
            "its alignment is 2147483648",
        ),
    ],
)
def test_a_file_that_is_not_whole_or_asks_for_too_much_is_refused_with_the_number(
    content, reason, tmp_path
):
    assert reason in refusal(content, tmp_path)


def test_every_cut_through_a_header_is_noticed(tmp_path):
    whole = gguf_bytes({"k": "value", "list": ["a", "b"]}, {"w": (2, 3)})
    table_end = whole.index(b"w", 40) + 1 + 4 + 2 * 8 + 12
    for length in range(table_end):
        refusal(whole[:length], tmp_path)
    read(whole[:table_end], tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(GgufError, match="No such file"):
        read_gguf_header(tmp_path / "none.gguf")
