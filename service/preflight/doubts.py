"""What is legal in a job spec and still probably not meant."""

from collections.abc import Iterator

from service.jobs.loss_spec import Granularity
from service.jobs.problem_sources import PublishedSource
from service.jobs.results import SpecWarning
from service.jobs.spec import JobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherVocabulary
from service.preflight.model_files import ModelFacts
from service.preflight.published_catalogue import PUBLICATIONS, Verification
from service.preflight.remote_teacher import about_remote_teacher
from service.preflight.tokenizer_doubts import about_tokenizers


def warnings_of(
    spec: JobSpec,
    *,
    student: ModelFacts | None,
    teacher: ModelFacts | None,
    num_prompts: int,
) -> Iterator[SpecWarning]:
    """Warnings in the order of the spec's fields. `num_prompts` counts the problems to train on.

    student, teacher: None of a model that only the worker can read; a teacher's also where no files of it are read.
    """
    # What a server has under a name is not what the files of that name say.
    if spec.teacher.endpoint is None and spec.student.is_same_model(spec.teacher):
        yield SpecWarning(
            code="TEACHER_IS_STUDENT",
            field="teacher.model",
            message="Student and teacher are the same model: there is nothing to learn.",
        )
    if student is None:
        yield checked_by_worker(spec.student, field="student")
    if teacher is None and spec.teacher.vocabulary is TeacherVocabulary.FILES:
        yield checked_by_worker(spec.teacher, field="teacher")
    yield from about_remote_teacher(spec)
    if student is not None and teacher is not None:
        yield from _about_ends(student=student, teacher=teacher)
        yield from about_tokenizers(spec, student=student, teacher=teacher)
    yield from _about_prompts(spec)
    if spec.rollout.prompts_per_step > num_prompts:
        yield SpecWarning(
            code="PROMPTS_REPEAT_WITHIN_STEP",
            field="rollout.prompts_per_step",
            message=f"A step draws {spec.rollout.prompts_per_step} prompts, but there are only "
            f"{num_prompts}: some are asked more than once in one step.",
        )
    yield from _about_gate(spec, student=student)
    yield from _about_sampling(spec)
    if not spec.evaluation.benchmarks:
        yield SpecWarning(
            code="NO_BENCHMARKS",
            field="evaluation.benchmarks",
            message="No benchmark is given, so the job will not say whether the student got better.",
        )


def checked_by_worker(model: ModelSpec, *, field: str) -> SpecWarning:
    """Of a model whose files this machine cannot read."""
    return SpecWarning(
        code="CHECKED_BY_WORKER",
        field=f"{field}.hub_token",
        message=f"The files of {model.model!r} were not looked at: {why_unseen(model)}. The worker checks "
        "them before it loads any weights, and the job fails then if it cannot run.",
    )


def why_unseen(model: ModelSpec) -> str:
    """Of a model whose files this machine cannot read, as a part of a sentence."""
    assert model.hub_token is not None, "every other model is read at submission"
    return (
        f"only the worker reads secret {model.hub_token.secret}, and the model is not in the hub cache of "
        "this machine"
    )


def _about_ends(*, student: ModelFacts, teacher: ModelFacts) -> Iterator[SpecWarning]:
    if student.eos_token_ids != teacher.eos_token_ids:
        yield SpecWarning(
            code="EOS_MISMATCH",
            field="teacher.model",
            message=f"The student ends responses with token ids {sorted(student.eos_token_ids)}, the "
            f"teacher with {sorted(teacher.eos_token_ids)}: the teacher may never reward an ending.",
        )


def _about_prompts(spec: JobSpec) -> Iterator[SpecWarning]:
    source = spec.prompts.problems
    if not isinstance(source, PublishedSource):
        return
    if PUBLICATIONS[source.name].verification is Verification.COUNT:
        yield SpecWarning(
            code="PROMPTS_NOT_VERIFIED",
            field="prompts.problems.name",
            message=f"The prompts of '{source.name}' are only counted: Driftgate holds no hash of "
            "their text. From the hub they come at a fixed commit; a copy in the folder of "
            "benchmarks is taken as it is.",
        )


def _about_gate(spec: JobSpec, *, student: ModelFacts | None) -> Iterator[SpecWarning]:
    gate = spec.gate
    if gate.granularity is Granularity.NONE:
        return
    limit = spec.rollout.max_response_tokens
    if gate.granularity is Granularity.BLOCK and gate.block_size >= limit:
        yield SpecWarning(
            code="BLOCK_IS_SEQUENCE",
            field="gate.block_size",
            message=f"block_size is {gate.block_size} and responses have at most {limit} tokens: "
            "every response is one block, which is the `sequence` gate.",
        )
    if spec.reuse.epochs * spec.reuse.minibatches == 1:
        yield SpecWarning(
            code="GATE_INERT",
            field="reuse",
            message="Each rollout batch is used for one update, in which nothing has drifted yet: "
            "every gate is 1. Raise reuse.epochs or reuse.minibatches.",
        )
    if gate.strength == 0:
        yield SpecWarning(
            code="GATE_INERT",
            field="gate.strength",
            message="strength is 0: every gate is 1 unless the kernel is `hard`.",
        )
    if (
        gate.granularity is Granularity.NEWLINE_SPAN
        and student is not None
        and not student.tokenizer.has_newline_token()
    ):
        yield SpecWarning(
            code="NO_NEWLINE_TOKEN",
            field="gate.granularity",
            message="The tokenizer has no token with a newline, so responses are cut into blocks of "
            f"{gate.block_size} tokens instead.",
        )


def _about_sampling(spec: JobSpec) -> Iterator[SpecWarning]:
    for name, value in (("temperature", spec.rollout.temperature), ("top_p", spec.rollout.top_p)):
        if value != 1:
            yield SpecWarning(
                code="SAMPLED_OFF_POLICY",
                field=f"rollout.{name}",
                message=f"Responses are sampled with {name} {value:g}, but student and teacher score "
                "them as they are, without it: the samples come from another distribution than "
                "the one that is trained.",
            )
