import json
from pathlib import Path

import pytest

from service.preflight.checks import check

SYMBOLS = ["<pad>", "<eos>", "<turn>", "a", "b"]
INLINE = {"source": "inline", "problems": [{"id": "1", "problem": "p", "answer": "1"}]}
TEMPLATE = "{{ messages[0]['content'] }}<turn>"
OTHER_TEMPLATE = "User: {{ messages[0]['content'] }}<turn>"


def edit(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | fields))


def added(*names: str) -> list[dict[str, object]]:
    return [{"id": SYMBOLS.index(name), "content": name, "special": True} for name in names]


@pytest.fixture
def pair(make_model):
    """Student and teacher whose special tokens are the first three; both stop at `<turn>`."""
    folders = []
    for name in ("student", "teacher"):
        folder = make_model(name, symbols=SYMBOLS, config={"eos_token_id": [1, 2]})
        edit(folder / "tokenizer.json", added_tokens=added("<pad>", "<eos>", "<turn>"))
        folders.append(folder)
    return folders


@pytest.fixture
def warnings_with(settings, spec_of):
    """Code and field of each warning about a spec whose prompts go through the chat template."""

    def check_it(**changes: object) -> list[tuple[str, str]]:
        spec = spec_of(**{"prompts": {"problems": INLINE}, "rollout": ROLLOUT} | changes)
        return [(warning.code, warning.field) for warning in check(spec, settings).warnings]

    return check_it


ROLLOUT = {
    "prompts_per_step": 1,
    "max_prompt_tokens": 64,
    "max_response_tokens": 128,
    "top_p": 1.0,
}
PROMPTS_FIELD = "prompts.format.chat_template"


def test_two_tokenizers_without_a_difference_leave_no_doubt(pair, warnings_with):
    for folder in pair:
        edit(folder / "tokenizer_config.json", chat_template=TEMPLATE)

    assert warnings_with() == []


def test_a_token_that_is_special_to_one_alone_is_named(pair, settings, spec_of):
    edit(pair[1] / "tokenizer.json", added_tokens=added("<pad>", "<eos>"))

    (warning,) = check(spec_of(), settings).warnings

    assert (warning.code, warning.field) == ("SPECIAL_TOKENS_DIFFER", "teacher.model")
    assert warning.message.startswith(
        "1 tokens are special to one tokenizer only, the first: '<turn>'"
    )


def test_texts_that_begin_otherwise_are_warned_of(pair, settings, spec_of):
    edit(pair[1] / "tokenizer_config.json", bos_token={"content": "<pad>"}, add_bos_token=True)

    (warning,) = check(spec_of(), settings).warnings

    assert warning.code == "BOS_MISMATCH"
    assert "with no token, the teacher's with <pad>" in warning.message


@pytest.mark.parametrize("holder", [0, 1])
def test_a_template_that_only_one_of_them_has_is_warned_of(pair, warnings_with, holder):
    edit(pair[holder] / "tokenizer_config.json", chat_template=TEMPLATE)

    assert warnings_with() == [("CHAT_TEMPLATE_MISSING", PROMPTS_FIELD)]


def test_a_template_counts_as_a_file_and_by_its_name_too(pair, warnings_with):
    (pair[0] / "chat_template.jinja").write_text(TEMPLATE)
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": TEMPLATE}]
    edit(pair[1] / "tokenizer_config.json", chat_template=named)

    assert warnings_with() == []


def test_different_templates_are_warned_of(pair, warnings_with):
    edit(pair[0] / "tokenizer_config.json", chat_template=TEMPLATE)
    edit(pair[1] / "tokenizer_config.json", chat_template=OTHER_TEMPLATE)

    assert warnings_with() == [("CHAT_TEMPLATES_DIFFER", PROMPTS_FIELD)]


def test_a_base_model_under_a_template_that_ends_otherwise_is_warned_of(pair, warnings_with):
    for folder in pair:
        edit(folder / "tokenizer_config.json", chat_template=TEMPLATE)
        # It stops at <eos>, and the template's turns end with <turn>.
        edit(folder / "config.json", eos_token_id=1)

    assert warnings_with() == [("TEMPLATE_OF_ANOTHER_MODEL", PROMPTS_FIELD)]


def test_a_template_that_names_the_eos_token_by_its_variable_fits(pair, warnings_with):
    for folder in pair:
        edit(folder / "tokenizer_config.json", chat_template=TEMPLATE + "{{ eos_token }}")
        edit(folder / "config.json", eos_token_id=1)

    assert warnings_with() == []


def test_only_a_template_that_is_used_is_looked_at(pair, warnings_with, spec_of, settings):
    edit(pair[0] / "tokenizer_config.json", chat_template=TEMPLATE)
    never = {"problems": INLINE, "format": {"chat_template": "never"}}

    # Arithmetic, of which the benchmark is, never uses it.
    assert warnings_with(prompts=never) == []
    assert check(spec_of(), settings).warnings == ()
    evaluation = {
        "benchmarks": [{"name": "b", "problems": INLINE}],
        "max_response_tokens": 128,
    }
    assert warnings_with(prompts=never, evaluation=evaluation) == [
        ("CHAT_TEMPLATE_MISSING", "evaluation.benchmarks.0.format.chat_template")
    ]
