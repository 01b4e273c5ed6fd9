"""What two tokenizers of one vocabulary may still differ in, and ruin a run without an error.

Prompts are encoded, and answers decoded, with the student's tokenizer alone.
"""

from collections.abc import Iterator

from service.jobs.problem_sources import ArithmeticSource
from service.jobs.results import SpecWarning
from service.jobs.spec import JobSpec
from service.preflight.model_files import ModelFacts

MAX_TOKENS_NAMED = 3


def about_tokenizers(
    spec: JobSpec, *, student: ModelFacts, teacher: ModelFacts
) -> Iterator[SpecWarning]:
    """Special tokens that only one of the two has, and chat templates that do not fit."""
    yield from _about_special_tokens(student=student, teacher=teacher)
    field = _field_that_uses_the_template(spec)
    if field is not None:
        yield from _about_templates(field, student=student, teacher=teacher)
        yield from _about_turn_ends(field, student=student)


def _about_special_tokens(*, student: ModelFacts, teacher: ModelFacts) -> Iterator[SpecWarning]:
    differing = sorted(student.tokenizer.special_tokens ^ teacher.tokenizer.special_tokens)
    if differing:
        named = ", ".join(repr(token[:40]) for token in differing[:MAX_TOKENS_NAMED])
        yield SpecWarning(
            code="SPECIAL_TOKENS_DIFFER",
            field="teacher.model",
            message=f"{len(differing)} tokens are special to one tokenizer only, the first: {named}. "
            "Answers are decoded without the student's special tokens, and the teacher may give "
            "these another meaning.",
        )
    if student.bos_token != teacher.bos_token:
        yield SpecWarning(
            code="BOS_MISMATCH",
            field="teacher.model",
            message=f"The student's tokenizer begins a text with {student.bos_token or 'no token'}, "
            f"the teacher's with {teacher.bos_token or 'no token'}: the teacher scores prompts that "
            "begin in a way it has not seen.",
        )


def _field_that_uses_the_template(spec: JobSpec) -> str | None:
    """The first prompt format that applies a chat template; arithmetic problems never do."""
    formats = [("prompts.format.chat_template", spec.prompts)] + [
        (f"evaluation.benchmarks.{index}.format.chat_template", benchmark)
        for index, benchmark in enumerate(spec.evaluation.benchmarks)
    ]
    for field, part in formats:
        is_templated = part.format.chat_template == "auto"
        if is_templated and not isinstance(part.problems, ArithmeticSource):
            return field
    return None


def _about_templates(
    field: str, *, student: ModelFacts, teacher: ModelFacts
) -> Iterator[SpecWarning]:
    if student.chat_template == teacher.chat_template:
        return
    if student.chat_template is None:
        yield SpecWarning(
            code="CHAT_TEMPLATE_MISSING",
            field=field,
            message="The teacher's tokenizer has a chat template and the student's has none: prompts "
            "are plain text, in which the teacher was not trained to answer. Give the student's "
            "folder the teacher's template, or choose a base teacher.",
        )
    elif teacher.chat_template is None:
        yield SpecWarning(
            code="CHAT_TEMPLATE_MISSING",
            field=field,
            message="The student's tokenizer has a chat template and the teacher's has none: the "
            "teacher scores conversations that it may not know. Set chat_template to 'never' for "
            "plain prompts, or choose a teacher with the template.",
        )
    else:
        yield SpecWarning(
            code="CHAT_TEMPLATES_DIFFER",
            field=field,
            message="Student and teacher have different chat templates. Prompts follow the "
            "student's, so the teacher scores another format than its own.",
        )


def _about_turn_ends(field: str, *, student: ModelFacts) -> Iterator[SpecWarning]:
    """A base model often carries its sibling's template, whose turns end with a token it never stops at."""
    template = student.chat_template
    if template is None or "eos_token" in template:
        return
    spelt = sorted(token for token in student.tokenizer.special_tokens if token in template)
    if spelt and not any(student.token_ids[token] in student.eos_token_ids for token in spelt):
        yield SpecWarning(
            code="TEMPLATE_OF_ANOTHER_MODEL",
            field=field,
            message="The student's chat template is written with "
            f"{', '.join(repr(token[:40]) for token in spelt[:MAX_TOKENS_NAMED])}, and its responses "
            f"end with none of the template's tokens but with token ids "
            f"{sorted(student.eos_token_ids)}: a base model under its instruct sibling's template. "
            "Set chat_template to 'never', or put the turn's end into the eos_token_id of its "
            "generation_config.json.",
        )
