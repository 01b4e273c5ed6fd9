import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.problem_sources import ArithmeticSource, InlineSource, Problem, PromptFormat
from worker.rollouts.prompts import encode_prompts

PROBLEMS = (Problem(id="p0", problem="1+1?", answer="2"),)


class TemplatedTokenizer:
    """One id a character; its template puts marks around, and says whether it was told to think."""

    chat_template = "any"

    def encode(self, text, *, add_special_tokens=True):
        return [ord(character) for character in text]

    def apply_chat_template(self, conversation, *, enable_thinking=None, **_settings):
        (message,) = conversation
        return f"<{message['content']}|{enable_thinking}>"


def prompt_of(source, *, max_prompt_tokens=1000, tokenizer=None, **settings):
    (prompt,) = encode_prompts(
        PROBLEMS,
        source=source,
        prompt_format=settings.pop("prompt_format", PromptFormat(instruction="Box it.")),
        tokenizer=tokenizer or TemplatedTokenizer(),
        max_prompt_tokens=max_prompt_tokens,
        field="prompts",
        **settings,
    )
    return "".join(map(chr, prompt.token_ids))


def test_a_problem_is_followed_by_the_instruction_in_the_template():
    inline = InlineSource(problems=PROBLEMS)
    assert prompt_of(inline) == "<1+1?\n\nBox it.|None>"
    never = PromptFormat(instruction="", chat_template="never")
    assert prompt_of(inline, prompt_format=never) == "1+1?"


def test_a_template_is_told_to_think_only_where_the_profile_says_so():
    inline = InlineSource(problems=PROBLEMS)
    assert prompt_of(inline, enable_thinking=True).endswith("|True>")
    assert prompt_of(inline, enable_thinking=False).endswith("|False>")


def test_what_the_format_says_of_thinking_goes_before_the_profile():
    inline = InlineSource(problems=PROBLEMS)
    told = PromptFormat(instruction="", enable_thinking=False)
    assert prompt_of(inline, prompt_format=told) == "<1+1?|False>"
    assert prompt_of(inline, prompt_format=told, enable_thinking=True) == "<1+1?|False>"


def test_arithmetic_is_asked_bare():
    assert prompt_of(ArithmeticSource()) == "1+1?"


def test_a_prompt_beyond_the_limit_is_refused_with_its_problem():
    with pytest.raises(DriftgateError, match="Problem 'p0' of prompts is 4 tokens long") as no:
        prompt_of(ArithmeticSource(), max_prompt_tokens=3)
    assert no.value.code is ErrorCode.PROMPT_TOO_LONG


def test_a_problem_that_the_tokenizer_makes_nothing_of_is_refused():
    class Deaf(TemplatedTokenizer):
        def encode(self, text, **_settings):
            return []

    with pytest.raises(DriftgateError, match="no token of problem 'p0' of prompts") as no:
        prompt_of(ArithmeticSource(), tokenizer=Deaf())
    assert no.value.code is ErrorCode.MODEL_INVALID
