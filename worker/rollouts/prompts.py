"""Problems become the token ids that a model is asked with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.problem_sources import ArithmeticSource, Problem, ProblemSource, PromptFormat
from worker.rollouts.chat_template import render_conversation


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that prompts need."""

    chat_template: Any

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]: ...

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """A problem as a model sees it."""

    problem: Problem
    token_ids: tuple[int, ...]


def encode_prompts(
    problems: Sequence[Problem],
    *,
    source: ProblemSource,
    prompt_format: PromptFormat,
    tokenizer: Tokenizer,
    max_prompt_tokens: int,
    field: str,
    enable_thinking: bool | None = None,
) -> tuple[Prompt, ...]:
    """Prompts in the order of the problems. Raises PROMPT_TOO_LONG naming `field` and the problem, and
    MODEL_INVALID for a chat template that does not fit and for a tokenizer that makes no token of a problem.

    enable_thinking: for the chat templates that know it (Qwen3's), unless the format says; None leaves it to
    the template.
    """
    if prompt_format.enable_thinking is not None:
        enable_thinking = prompt_format.enable_thinking
    template_settings = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
    prompts = []
    for problem in problems:
        token_ids = _encode(
            problem, source, prompt_format, tokenizer, template_settings, field=field
        )
        if not token_ids:
            allowed = "at least one token"
            raise DriftgateError(
                ErrorCode.MODEL_INVALID,
                f"The model's tokenizer makes no token of problem {problem.id!r} of {field}, and a response needs "
                f"{allowed} before it. Give the problem an instruction, or leave it out.",
                [Violation(field, "no token", allowed)],
            )
        if len(token_ids) > max_prompt_tokens:
            raise DriftgateError(
                ErrorCode.PROMPT_TOO_LONG,
                f"Problem {problem.id!r} of {field} is {len(token_ids)} tokens long, but at most "
                f"{max_prompt_tokens} are allowed. Raise rollout.max_prompt_tokens or drop it.",
                [Violation(field, f"{len(token_ids)} tokens", f"at most {max_prompt_tokens}")],
            )
        prompts.append(Prompt(problem=problem, token_ids=token_ids))
    return tuple(prompts)


def _encode(
    problem: Problem,
    source: ProblemSource,
    prompt_format: PromptFormat,
    tokenizer: Tokenizer,
    template_settings: Mapping[str, bool],
    *,
    field: str,
) -> tuple[int, ...]:
    if isinstance(source, ArithmeticSource):
        return tuple(tokenizer.encode(problem.problem))
    text = problem.problem
    if prompt_format.instruction:
        text = f"{text}\n\n{prompt_format.instruction}"
    if prompt_format.chat_template == "auto" and tokenizer.chat_template:
        return render_conversation(
            text, tokenizer=tokenizer, settings=template_settings, field=field
        )
    return tuple(tokenizer.encode(text))
