"""Chat templates of hybrid and plain models, rendered by a real tokenizer."""

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from service.errors import DriftgateError, ErrorCode
from worker.rollouts.chat_template import render_conversation

MARKS = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"]
WORDS = ["<pad>", "user", "assistant", "hello", "\n", "\n\n"]

# The end of the published Qwen3 templates, which opens and closes the thoughts where there shall be none.
HYBRID = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Split(pattern="\n\n", behavior="isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Split(" ", "isolated")]
    )
    backend.add_tokens([AddedToken(mark, special=mark.startswith("<|")) for mark in MARKS])
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")


def rendered(tokenizer, template: str, text: str = "hello", **settings: bool) -> str:
    tokenizer.chat_template = template
    ids = render_conversation(text, tokenizer=tokenizer, settings=settings, field="prompts")
    return "|".join(tokenizer.convert_ids_to_tokens(ids)).replace("\n", "~")


def test_a_hybrid_model_is_asked_to_think_or_given_empty_thoughts(tokenizer):
    turn = "<|im_start|>|user|~|hello|<|im_end|>|~|<|im_start|>|assistant|~"
    assert rendered(tokenizer, HYBRID) == turn
    assert rendered(tokenizer, HYBRID, enable_thinking=True) == turn
    no_thoughts = f"{turn}|<think>|~|~|</think>|~|~"
    assert rendered(tokenizer, HYBRID, enable_thinking=False) == no_thoughts


def test_a_template_whose_marks_are_no_tokens_is_refused_with_their_number_and_names(tokenizer):
    other = "<|im_start|>{{ messages[0].content }}<|eot_id|><|start_header_id|>"

    with pytest.raises(DriftgateError) as refusal:
        rendered(tokenizer, other)

    assert refusal.value.code is ErrorCode.MODEL_INVALID
    assert "writes '<|eot_id|>', '<|start_header_id|>'" in refusal.value.message
    assert "of its 3 marks 2 are no tokens" in refusal.value.message


def test_marks_in_the_problem_itself_are_no_fault_of_the_template(tokenizer):
    assert rendered(tokenizer, HYBRID, "<|eot_id|>").startswith("<|im_start|>|user")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('system first') }}", "system first"),
        ("{{ messages[0].content", "unexpected end"),
        ("{{ messages[1].content.title() }}", "no element 1"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages.__class__.__mro__ }}{{ messages.append(1) }}", "unsafe"),
    ],
)
def test_a_template_that_fails_is_refused_with_its_own_words(tokenizer, template, reason):
    with pytest.raises(DriftgateError) as refusal:
        rendered(tokenizer, template)

    assert refusal.value.code is ErrorCode.MODEL_INVALID
    assert reason in refusal.value.message
