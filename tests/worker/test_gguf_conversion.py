"""GGUF files of every family come out as the models that they were made of."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from service.preflight.gguf_facts import gguf_facts, read_facts
from service.preflight.gguf_header import read_gguf_header
from service.preflight.gguf_tensors import ENCODINGS
from service.preflight.model_files import read_model_facts
from tests.gguf_files import write_gguf
from tests.model_families import llama, qwen2, qwen3
from worker.gguf_conversion import convert_gguf
from worker.training.models import load_causal_lm, load_tokenizer

TOKEN_IDS_BS = torch.tensor([[3, 7, 4, 9, 2, 11, 8, 6], [5, 2, 6, 8, 4, 3, 20, 24]])
CPU = torch.device("cpu")


def converted(file: Path) -> Path:
    folder = file.with_suffix("")
    folder.mkdir()
    convert_gguf(file, read_gguf_header(file), folder)
    return folder


@pytest.mark.parametrize(
    "make_model",
    [
        llama,
        lambda: llama(tie_word_embeddings=True, num_key_value_heads=1),
        lambda: llama(rope_parameters={"rope_type": "default", "rope_theta": 123_456.0}),
        qwen2,
        lambda: qwen2(tie_word_embeddings=True),
        lambda: qwen3(tie_word_embeddings=True),
        lambda: qwen3(tie_word_embeddings=False, head_dim=16),
    ],
)
def test_a_file_in_float32_comes_out_as_the_model_it_was_made_of(
    make_model: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    model = make_model().float()
    file = write_gguf(model, tmp_path / "tiny.gguf")

    folder = converted(file)

    loaded = load_causal_lm(folder, device=CPU, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(loaded(TOKEN_IDS_BS).logits, model(TOKEN_IDS_BS).logits)
    facts = read_facts(file, reference="tiny.gguf", field="student")
    assert facts.architecture == read_model_facts(folder, reference="t", field="s").architecture
    assert facts.architecture.parameter_counts().total == model.num_parameters()


def test_the_header_says_of_tokens_and_template_what_the_converted_folder_says(
    tmp_path: Path,
) -> None:
    file = write_gguf(qwen2().float(), tmp_path / "tiny.gguf")

    of_file = gguf_facts(read_gguf_header(file))
    folder = converted(file)
    of_folder = read_model_facts(folder, reference="t", field="s")

    assert of_file.tokenizer.special_tokens == of_folder.tokenizer.special_tokens
    assert of_file.eos_token_ids == of_folder.eos_token_ids == {1, 2}
    assert of_file.chat_template == of_folder.chat_template
    assert of_file.bos_token is of_folder.bos_token is None
    # Without what fills the vocabulary up to the embedding's 27 rows, and without a default of transformers.
    assert of_folder.token_ids == of_file.token_ids
    assert len(of_file.token_ids) == 25
    tokenizer = load_tokenizer(folder)
    assert tokenizer.encode("ab1\n<turn>") == [
        of_file.token_ids[token] for token in ("ab", "1", "Ċ", "<turn>")
    ]


@pytest.mark.parametrize("name", ["Q8_0", "Q4_1", "F16", "BF16"])
def test_quantised_weights_are_the_numbers_that_the_blocks_stand_for(
    name: str, tmp_path: Path
) -> None:
    model = qwen3(tie_word_embeddings=True).float()
    encoding = gguf.GGMLQuantizationType[name]
    folder = converted(write_gguf(model, tmp_path / "tiny.gguf", quantised=encoding))

    loaded = load_causal_lm(folder, device=CPU, dtype=torch.float32)

    original = model.model.layers[1].mlp.up_proj.weight.detach().numpy()
    expected = gguf.quants.dequantize(gguf.quants.quantize(original, encoding), encoding)
    actual = loaded.model.layers[1].mlp.up_proj.weight.detach().numpy()
    assert np.array_equal(actual, expected)
    assert not np.array_equal(actual, original)


def test_every_encoding_that_is_taken_is_one_that_can_be_unpacked_and_of_its_size() -> None:
    for number, encoding in ENCODINGS.items():
        known = gguf.GGMLQuantizationType(number)
        assert known.name == encoding.name
        sizes = (encoding.block_elements, encoding.block_bytes)
        assert gguf.GGML_QUANT_SIZES[known] == sizes
        block = np.zeros((1, encoding.block_bytes), dtype=np.uint8)
        assert gguf.quants.dequantize(block, known).shape == (1, encoding.block_elements)
