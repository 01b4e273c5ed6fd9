import json

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import EvaluationJobSpec
from service.preflight.checks import check
from service.preflight.evaluation_checks import check_evaluation

INLINE = {"source": "inline", "problems": [{"id": "1", "problem": "p", "answer": "1"}]}
ROLLOUT = {"max_prompt_tokens": 64, "max_response_tokens": 128, "top_p": 1.0}
HYBRID = "{% if enable_thinking %}think{% endif %}<|turn|>{{ messages }}"


@pytest.fixture
def with_template(make_model):
    """Student and teacher with this template; `<|turn|>` is a token of theirs."""

    def make(template: str | None) -> None:
        for name in ("student", "teacher"):
            folder = make_model(name, symbols=["<pad>", "<eos>", "<|turn|>", "a", "\n"])
            settings = {"eos_token": "<eos>", "chat_template": template}
            (folder / "tokenizer_config.json").write_text(json.dumps(settings))

    return make


@pytest.fixture
def check_with(settings, spec_of):
    def check_it(prompt_format: dict, **changes):
        prompts = {"problems": INLINE, "format": prompt_format}
        return check(spec_of(**{"prompts": prompts, "rollout": ROLLOUT} | changes), settings)

    return check_it


def refusal_of(call, *arguments, **named):
    with pytest.raises(DriftgateError) as refusal:
        call(*arguments, **named)
    return refusal.value


@pytest.mark.parametrize("is_thinking", [True, False])
def test_a_hybrid_model_may_be_told_to_think_or_not_to(with_template, check_with, is_thinking):
    with_template(HYBRID)

    assert check_with({"enable_thinking": is_thinking})


@pytest.mark.parametrize(
    ("template", "lacking"),
    [("{{ messages }}<|turn|>", "has a chat template without it"), (None, "has no chat template")],
)
def test_a_model_that_would_not_hear_of_thinking_is_refused(
    with_template, check_with, template, lacking
):
    with_template(template)

    refusal = refusal_of(check_with, {"enable_thinking": False})

    assert refusal.code is ErrorCode.INVALID_SPEC
    assert f"prompts.format.enable_thinking is false, but 'student' {lacking}" in refusal.message
    assert refusal.violations[0].field == "prompts.format.enable_thinking"


def test_a_benchmark_is_named_by_its_place(with_template, settings):
    with_template("{{ messages }}<|turn|>")
    benchmark = {"name": "b", "problems": INLINE, "format": {"enable_thinking": True}}
    spec = EvaluationJobSpec.model_validate(
        {
            "kind": "evaluation",
            "model": {"model": "student"},
            "max_prompt_tokens": 64,
            "evaluation": {"benchmarks": [benchmark], "max_response_tokens": 64},
        }
    )

    refusal = refusal_of(check_evaluation, spec, settings)

    assert refusal.violations[0].field == "evaluation.benchmarks.0.format.enable_thinking"


def test_a_template_of_another_model_is_refused_with_its_marks(with_template, check_with):
    with_template("<|im_start|>{{ messages }}<|im_end|>")

    refusal = refusal_of(check_with, {})

    assert refusal.code is ErrorCode.MODEL_INVALID
    assert "'<|im_end|>', '<|im_start|>', and of these 2 its vocabulary of 5 tokens has none" in (
        refusal.message
    )


def test_one_mark_that_is_a_token_is_enough_and_plain_prompts_need_none(with_template, check_with):
    with_template("<|turn|>{% if tools %}<|tools|>{% endif %}{{ messages }}")
    assert check_with({})


def test_a_template_that_is_not_applied_is_not_looked_at(with_template, check_with):
    with_template("<|im_start|>{{ messages }}")

    assert check_with({"chat_template": "never"})
    assert check_with({}, prompts={"problems": {"source": "arithmetic", "num_problems": 20}})
