"""Whether the chat template that prompts go through fits the model, by its text: templates are never run here.

The worker, which renders prompts in a sandbox, looks at what comes out besides.
"""

import re
from collections.abc import Iterator

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.problem_sources import ArithmeticSource, PromptFormat, PromptsSpec
from service.preflight.json_files import invalid_model
from service.preflight.model_files import ModelFacts

# How the turns of a conversation are marked in the templates of Qwen, Llama 3 and SmolLM.
MARK = re.compile(r"<\|[^|<>\s'\"]{1,60}\|>")
MAX_MARKS_NAMED = 3
THINKING_SETTING = "enable_thinking"


def check_chat_template(
    facts: ModelFacts,
    *,
    prompts: PromptsSpec | None,
    evaluation: EvaluationSpec,
    reference: str,
    field: str,
) -> None:
    """Raises MODEL_INVALID for a template whose marks are no tokens of the model, and INVALID_SPEC where it is
    told to think, or not to, and does not know of it.

    prompts: None of a job that trains nothing. facts: of the model whose tokenizer makes the prompts.
    """
    for format_field, prompt_format in _templated_formats(prompts, evaluation):
        if prompt_format.enable_thinking is not None:
            _check_thinking(facts, prompt_format, field=format_field, reference=reference)
        _check_marks(facts, reference=reference, field=field)


def _templated_formats(
    prompts: PromptsSpec | None, evaluation: EvaluationSpec
) -> Iterator[tuple[str, PromptFormat]]:
    """Formats that apply a chat template where there is one; arithmetic problems never do."""
    parts = [] if prompts is None else [("prompts.format", prompts.problems, prompts.format)]
    parts += [
        (f"evaluation.benchmarks.{index}.format", benchmark.problems, benchmark.format)
        for index, benchmark in enumerate(evaluation.benchmarks)
    ]
    for field, problems, prompt_format in parts:
        if prompt_format.chat_template == "auto" and not isinstance(problems, ArithmeticSource):
            yield field, prompt_format


def _check_thinking(
    facts: ModelFacts, prompt_format: PromptFormat, *, field: str, reference: str
) -> None:
    template = facts.chat_template
    if template is not None and THINKING_SETTING in template:
        return
    lacking = "has no chat template" if template is None else "has a chat template without it"
    given = str(prompt_format.enable_thinking).lower()
    raise DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"{field}.enable_thinking is {given}, but {reference!r} {lacking}, so nothing would be told. "
        "Leave it out, or choose a hybrid model such as Qwen3's.",
        [Violation(f"{field}.enable_thinking", given, "unset for this model")],
    )


def _check_marks(facts: ModelFacts, *, reference: str, field: str) -> None:
    """Some marks may be of branches that a prompt never takes; of a template that fits, one at least is a token."""
    marks = sorted(set(MARK.findall(facts.chat_template or "")))
    if not marks or any(mark in facts.token_ids for mark in marks):
        return
    named = ", ".join(repr(mark) for mark in marks[:MAX_MARKS_NAMED])
    raise invalid_model(
        reference,
        f"its chat template marks turns with {named}, and of these {len(marks)} its vocabulary of "
        f"{len(facts.token_ids):,} tokens has none: it is the template of another model; set "
        "chat_template to 'never', or give the folder its own",
        field=field,
    )
