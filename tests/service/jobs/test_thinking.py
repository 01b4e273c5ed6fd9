import pytest
from pydantic import ValidationError

from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.problem_sources import PromptFormat


def evaluation(profile: str, enable_thinking: bool | None) -> EvaluationSpec:
    benchmark = {
        "name": "b",
        "problems": {"source": "arithmetic"},
        "format": {"enable_thinking": enable_thinking},
    }
    return EvaluationSpec.model_validate({"benchmarks": [benchmark], "profile": profile})


def test_a_format_leaves_thinking_to_the_template_unless_it_says():
    assert PromptFormat().enable_thinking is None
    assert PromptFormat(enable_thinking=False).enable_thinking is False


def test_what_no_template_would_hear_is_refused():
    with pytest.raises(ValidationError, match="chat_template is 'never'; leave one out"):
        PromptFormat(chat_template="never", enable_thinking=True)
    with pytest.raises(ValidationError):
        PromptFormat.model_validate({"enable_thinking": "yes"})


def test_a_profile_that_says_whether_to_think_is_not_contradicted():
    assert evaluation("qwen3-think", True).enable_thinking is True
    assert evaluation("qwen3-think", None).enable_thinking is True
    assert evaluation("paper", False).benchmarks[0].format.enable_thinking is False
    with pytest.raises(ValidationError, match=r"benchmarks\.0\.format\.enable_thinking is false"):
        evaluation("qwen3-think", False)
