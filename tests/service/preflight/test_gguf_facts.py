import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from service.catalogues import list_models
from service.errors import DriftgateError, ErrorCode
from service.jobs.spec_fields import ModelSpec
from service.preflight.checks import check, model_facts
from service.preflight.models import download_model, resolve_model
from service.preflight.plan import make_plan
from tests.service.preflight.gguf_bytes import gguf_bytes

TOKENS = ["<pad>", "<eos>", "<turn>", "Ċ", "a", "[PAD5]"]
METADATA: Mapping[str, object] = {
    "general.architecture": "qwen2",
    "qwen2.block_count": 1,
    "qwen2.context_length": 256,
    "qwen2.embedding_length": 8,
    "qwen2.feed_forward_length": 12,
    "qwen2.attention.head_count": 2,
    "qwen2.attention.head_count_kv": 1,
    "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
    "qwen2.rope.freq_base": 10_000.0,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.token_type": [3, 3, 3, 1, 1, 5],
    "tokenizer.ggml.eos_token_id": 1,
    "tokenizer.ggml.eot_token_id": 2,
    "tokenizer.chat_template": "{{ messages }}<turn>",
}
TENSORS: Mapping[str, Sequence[int]] = {
    "token_embd.weight": (6, 8),
    "output_norm.weight": (8,),
    "blk.0.attn_norm.weight": (8,),
    "blk.0.ffn_norm.weight": (8,),
    "blk.0.attn_q.weight": (8, 8),
    "blk.0.attn_q.bias": (8,),
    "blk.0.attn_k.weight": (4, 8),
    "blk.0.attn_k.bias": (4,),
    "blk.0.attn_v.weight": (4, 8),
    "blk.0.attn_v.bias": (4,),
    "blk.0.attn_output.weight": (8, 8),
    "blk.0.ffn_gate.weight": (12, 8),
    "blk.0.ffn_up.weight": (12, 8),
    "blk.0.ffn_down.weight": (8, 12),
}

WriteGguf = Callable[..., Path]


@pytest.fixture
def write(settings) -> WriteGguf:
    """Writes a file below the model root; changes of None leave a key or a tensor out."""

    def write_it(
        name: str = "tiny/tiny.gguf",
        *,
        metadata: Mapping[str, object] | None = None,
        tensors: Mapping[str, Sequence[int] | None] | None = None,
        type_number: int = 0,
    ) -> Path:
        path = settings.resolved_model_root() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = gguf_bytes(
            {k: v for k, v in ({**METADATA, **(metadata or {})}).items() if v is not None},
            {k: v for k, v in ({**TENSORS, **(tensors or {})}).items() if v is not None},
            type_number=type_number,
        )
        path.write_bytes(content)
        return path

    return write_it


def facts_of(reference: str, settings):
    return model_facts(ModelSpec(model=reference), settings=settings, field="student")


def refusal(reference: str, settings) -> str:
    with pytest.raises(DriftgateError) as refused:
        facts_of(reference, settings)
    assert refused.value.code is ErrorCode.MODEL_INVALID
    assert refused.value.violations[0].field == "student.model"
    return refused.value.message


def test_a_folder_with_one_gguf_file_and_the_file_itself_are_the_same_model(settings, write):
    path = write()

    for reference in ("tiny", "tiny/", "tiny/tiny.gguf", str(path)):
        model = ModelSpec(model=reference)
        assert resolve_model(model, settings=settings, field="s") == path
        assert download_model(model, settings=settings, field="s") == path
        facts = facts_of(reference, settings)
        assert facts.token_ids == {"<pad>": 0, "<eos>": 1, "<turn>": 2, "Ċ": 3, "a": 4}
        assert facts.tokenizer.special_tokens == {"<pad>", "<eos>", "<turn>"}
        assert facts.eos_token_ids == {1, 2}
        assert (facts.vocab_size, facts.max_positions) == (6, 256)
        assert facts.chat_template == "{{ messages }}<turn>"
        assert facts.bos_token is None


def test_the_plan_knows_the_parameters_of_a_gguf_file(settings, write, spec_of):
    write()
    spec = spec_of(
        student={"model": "tiny"},
        teacher={"model": "tiny/tiny.gguf"},
        rollout={"max_prompt_tokens": 64, "max_response_tokens": 128},
    )

    plan = make_plan(spec, check(spec, settings), rate=None)

    # 6 × 8 of the embedding, which is the head too; 8 of the last norm; and of the layer: 2 × 8 of norms,
    # 8 × 8 + 2 × 4 × 8 + 8 × 8 of attention with 8 + 2 × 4 of biases, and 3 × 8 × 12.
    assert plan.student.total == 48 + 8 + 16 + 192 + 16 + 288
    assert plan.student.tied
    assert plan.memory[0].teacher_weights_bytes == plan.teacher.total * 4


def test_an_output_matrix_of_its_own_is_an_untied_head(settings, write):
    write(tensors={"output.weight": (6, 8)})

    assert not facts_of("tiny", settings).architecture.has_tied_head


def test_a_sentencepiece_vocabulary_begins_a_text_unless_the_file_says_otherwise(settings, write):
    sentencepiece = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.bos_token_id": 0}
    write("default.gguf", metadata=sentencepiece)
    write("never.gguf", metadata={**sentencepiece, "tokenizer.ggml.add_bos_token": 0})

    assert facts_of("default.gguf", settings).bos_token == "<pad>"
    assert facts_of("never.gguf", settings).bos_token is None


@pytest.mark.parametrize(
    ("metadata", "tensors", "reason"),
    [
        (
            {"general.architecture": "gemma3"},
            {},
            "'gemma3', and those read are llama, qwen2, qwen3",
        ),
        ({"split.count": 3}, {}, "one of 3 parts"),
        ({"qwen2.rope.scaling.type": "yarn"}, {}, "rotary embedding is scaled ('yarn')"),
        ({}, {"rope_freqs.weight": (2,)}, "rope_freqs.weight, which its architecture does not"),
        ({}, {"blk.0.attn_q.bias": None}, "it has no blk.0.attn_q.bias"),
        ({}, {"blk.0.ffn_up.weight": (11, 8)}, "(11, 8), and its metadata says (12, 8)"),
        ({"qwen2.block_count": 2**20}, {}, "14 tensors, too few for 1,048,576 layers"),
        ({"qwen2.block_count": None}, {}, "gives num_hidden_layers as None"),
        ({"qwen2.rope.dimension_count": 2}, {}, "rope.dimension_count is 2, and heads are 4 wide"),
        ({"qwen2.rope.freq_base": "x"}, {}, "rotary base"),
        ({"tokenizer.ggml.model": "bert"}, {}, "its tokenizer is 'bert'"),
        ({"tokenizer.ggml.tokens": None}, {}, "no vocabulary"),
        ({"tokenizer.ggml.tokens": TOKENS[:3]}, {}, "3 tokens with 6 types, and an embedding of 6"),
    ],
)
def test_a_file_that_would_not_be_rebuilt_exactly_is_refused_with_what_is_in_the_way(
    settings, write, metadata, tensors, reason
):
    write(metadata=metadata, tensors=tensors)

    message = refusal("tiny", settings)

    assert "of tiny.gguf: " in message
    assert reason in message


def test_an_unknown_quantisation_is_refused_with_the_tensor_and_the_known_ones(settings, write):
    write(type_number=16)  # IQ2_XXS

    message = refusal("tiny", settings)

    assert "token_embd.weight (ggml type 16)" in message
    assert "Q4_1" in message


def test_a_row_that_no_block_divides_is_refused(settings, write):
    write(type_number=8)

    assert "rows of 8, no multiple of the 32 that Q8_0 packs" in refusal("tiny", settings)


def test_a_file_that_was_cut_off_is_refused_with_both_sizes(settings, write):
    path = write()
    path.write_bytes(path.read_bytes()[:-100])

    assert "an interrupted download looks like this" in refusal("tiny", settings)


def test_several_files_in_a_folder_are_refused_with_their_names_until_one_is_named(settings, write):
    first = write("tiny/a.gguf")
    write("tiny/b.gguf")

    message = refusal("tiny", settings)

    assert "2 GGUF files (a.gguf, b.gguf); name the one that is meant, as tiny/FILE.gguf" in message
    assert resolve_model(ModelSpec(model="tiny/a.gguf"), settings=settings, field="s") == first


def test_safetensors_beside_a_gguf_file_come_first(settings, write, make_model):
    folder = make_model("tiny")
    write()

    assert resolve_model(ModelSpec(model="tiny"), settings=settings, field="s") == folder


def test_a_gguf_file_that_links_out_of_the_model_root_is_refused(settings, write, tmp_path):
    outside = tmp_path / "outside.gguf"
    shutil.move(write(), outside)
    (settings.resolved_model_root() / "link.gguf").symlink_to(outside)

    with pytest.raises(DriftgateError) as refused:
        resolve_model(ModelSpec(model="link.gguf"), settings=settings, field="s")

    assert refused.value.code is ErrorCode.MODEL_OUTSIDE_ROOT


def test_a_file_that_is_replaced_is_read_anew(settings, write):
    write()
    assert facts_of("tiny", settings).max_positions == 256

    write(metadata={"qwen2.context_length": 512})

    assert facts_of("tiny", settings).max_positions == 512


def test_a_folder_of_gguf_and_a_file_are_listed_with_their_size(settings, write):
    write()
    write("alone.gguf")

    alone, tiny = [one for one in list_models(settings).models if one.origin == "local"]

    assert (tiny.model, tiny.vocab_size, tiny.problem) == ("tiny", 6, None)
    assert (alone.model, alone.num_parameters, tiny.num_parameters) == ("alone.gguf", 568, 568)
