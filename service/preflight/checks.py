"""What can be known of a job before it is queued: refusals as errors, doubts as warnings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec
from service.jobs.loss_spec import TeacherTopKObjective
from service.jobs.problem_sources import (
    ArithmeticSource,
    DatasetSource,
    ProblemSource,
    PublishedSource,
)
from service.jobs.results import SpecWarning
from service.jobs.spec import JobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherVocabulary
from service.preflight.architecture import UnknownArchitecture
from service.preflight.chat_templates import check_chat_template
from service.preflight.doubts import warnings_of
from service.preflight.folder_signature import FolderSignature, folder_signature
from service.preflight.gguf_facts import read_facts
from service.preflight.json_files import invalid_model
from service.preflight.model_files import ModelFacts
from service.preflight.models import resolve_model, resolve_model_with_secret
from service.preflight.problem_files import num_problems_uploaded
from service.preflight.problems import (
    check_arithmetic_size,
    check_benchmark_name,
    load_benchmark,
    load_problems,
)
from service.preflight.published import is_left_to_worker
from service.preflight.published_catalogue import PUBLICATIONS
from service.preflight.remote_teacher import check_remote_teacher
from service.settings import Settings

# Beyond this, generating an arithmetic set takes noticeable time and is left to the worker.
MAX_GENERATED_PROBLEMS = 10_000
MAX_TOKENS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks of a spec that may run have learnt; problems are counted by benchmark.

    student, teacher: None of a model that only the worker can read, by a secret, and of a teacher whose
    files nobody reads because its server is asked instead.
    """

    warnings: tuple[SpecWarning, ...]
    student: ModelFacts | None
    teacher: ModelFacts | None
    num_benchmark_problems: tuple[int, ...]


def check(spec: JobSpec, settings: Settings) -> Findings:
    """Warnings about the spec, and its facts. Raises DriftgateError for what cannot run, naming the field.

    Needs config and tokenizer files of both models, and the problem sets; never the weights. What is not
    known of a model that needs a secret is left to `check_on_worker`.
    """
    check_remote_teacher(spec, settings=settings)
    student = model_facts(spec.student, settings=settings, field="student")
    teacher = None
    if spec.teacher.vocabulary is TeacherVocabulary.FILES:
        teacher = model_facts(spec.teacher, settings=settings, field="teacher")
    return _check(spec, settings, student=student, teacher=teacher)


def check_on_worker(spec: JobSpec, settings: Settings) -> Findings:
    """As `check`, with the secrets, so that every model with files is known. Raises SECRET_NOT_FOUND besides."""
    check_remote_teacher(spec, settings=settings)
    student = model_facts_with_secret(spec.student, settings=settings, field="student")
    teacher = None
    if spec.teacher.vocabulary is TeacherVocabulary.FILES:
        teacher = model_facts_with_secret(spec.teacher, settings=settings, field="teacher")
    return _check(spec, settings, student=student, teacher=teacher)


def _check(
    spec: JobSpec,
    settings: Settings,
    *,
    student: ModelFacts | None,
    teacher: ModelFacts | None,
) -> Findings:
    if student is not None:
        check_responses_end(spec.student, student, field="student")
        check_chat_template(
            student,
            prompts=spec.prompts,
            evaluation=spec.evaluation,
            reference=spec.student.model,
            field="student",
        )
        if teacher is not None:
            check_vocabularies_match(student, teacher)
        _check_adapter(spec, student)
        _check_support(spec, student)
        _check_masked_tokens(spec, student)
    _check_positions(spec, student=student, teacher=teacher)
    num_prompts = _check_prompts(spec.prompts.problems, settings=settings, field="prompts.problems")
    num_benchmark_problems = check_benchmarks(spec.evaluation, settings=settings)
    warnings = warnings_of(spec, student=student, teacher=teacher, num_prompts=num_prompts)
    return Findings(
        warnings=tuple(warnings),
        student=student,
        teacher=teacher,
        num_benchmark_problems=num_benchmark_problems,
    )


def check_benchmarks(evaluation: EvaluationSpec, *, settings: Settings) -> tuple[int, ...]:
    """Number of problems of each benchmark. Raises as `load_benchmark` does."""
    return tuple(
        _check_benchmark(
            benchmark, settings=settings, field=f"evaluation.benchmarks.{index}.problems"
        )
        for index, benchmark in enumerate(evaluation.benchmarks)
    )


def check_responses_end(model: ModelSpec, facts: ModelFacts, *, field: str) -> None:
    """Raises MODEL_INVALID for a model that names no EOS token."""
    if not facts.eos_token_ids:
        raise invalid_model(
            model.model,
            "its files name no EOS token, so no response of it would ever end; set eos_token_id in "
            "generation_config.json",
            field=field,
        )


def check_vocabularies_match(student: ModelFacts, teacher: ModelFacts) -> None:
    """Raises VOCABULARY_MISMATCH unless every token has the same id and the logits are as many."""
    if student.token_ids != teacher.token_ids:
        differing = sorted(
            (
                token
                for token in student.token_ids.keys() | teacher.token_ids.keys()
                if student.token_ids.get(token) != teacher.token_ids.get(token)
            ),
            key=lambda token: _smallest_id(token, student, teacher),
        )
        named = ", ".join(
            f"{token[:40]!r} (student {_id_text(token, student)}, teacher {_id_text(token, teacher)})"
            for token in differing[:MAX_TOKENS_NAMED]
        )
        raise DriftgateError(
            ErrorCode.VOCABULARY_MISMATCH,
            f"{len(differing):,} tokens differ between the tokenizers of student "
            f"({len(student.token_ids):,} tokens) and teacher ({len(teacher.token_ids):,}), the "
            f"first: {named}. The teacher scores the student's token ids, so choose two models with "
            "one tokenizer.",
            [Violation("teacher.model", f"{len(differing)} tokens differ", "the same token ids")],
        )
    if student.vocab_size != teacher.vocab_size:
        smaller, larger = sorted((student.vocab_size, teacher.vocab_size))
        without = "student" if student.vocab_size == smaller else "teacher"
        raise DriftgateError(
            ErrorCode.VOCABULARY_MISMATCH,
            f"The teacher's vocab_size is {teacher.vocab_size:,}, the student's "
            f"{student.vocab_size:,}: token ids {smaller:,} to {larger - 1:,} have no {without} "
            "logit. Choose models of one vocab_size, or resize the embeddings of one.",
            [
                Violation(
                    "teacher.model",
                    f"vocab_size {teacher.vocab_size}",
                    f"vocab_size {student.vocab_size}",
                )
            ],
        )


def model_facts(model: ModelSpec, *, settings: Settings, field: str) -> ModelFacts | None:
    """What the files of the named model say; None where only the worker can read them.

    Raises as `resolve_model` and `read_facts` do.
    """
    path = resolve_model(model, settings=settings, field=field)
    if path is None:
        return None
    return _facts_of(path, folder_signature(path), reference=model.model, field=field)


@lru_cache(maxsize=64)
def _facts_of(path: Path, _signature: FolderSignature, *, reference: str, field: str) -> ModelFacts:
    return read_facts(path, reference=reference, field=field)


def model_facts_with_secret(model: ModelSpec, *, settings: Settings, field: str) -> ModelFacts:
    """As `model_facts`, on the worker. Raises SECRET_NOT_FOUND besides."""
    path = resolve_model_with_secret(model, settings=settings, field=field)
    return read_facts(path, reference=model.model, field=field)


def _smallest_id(token: str, student: ModelFacts, teacher: ModelFacts) -> tuple[int, str]:
    ids = [facts.token_ids[token] for facts in (student, teacher) if token in facts.token_ids]
    return min(ids), token


def _id_text(token: str, facts: ModelFacts) -> str:
    return str(facts.token_ids[token]) if token in facts.token_ids else "none"


def _check_adapter(spec: JobSpec, facts: ModelFacts) -> None:
    """What only the worker can see, of an architecture that is not known here, it checks itself."""
    if spec.lora is None or isinstance(facts.architecture, UnknownArchitecture):
        return
    known = facts.architecture.linear_layers()
    unknown = [name for name in spec.lora.target_modules if name not in known]
    if unknown:
        allowed = ", ".join(known)
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"lora.target_modules names {unknown[0]!r}, which is no linear layer of the student's "
            f"decoder. Allowed: {allowed}.",
            [Violation("lora.target_modules", unknown[0], allowed)],
        )


def _check_support(spec: JobSpec, facts: ModelFacts) -> None:
    if isinstance(spec.objective, TeacherTopKObjective) and spec.objective.k > facts.vocab_size:
        raise DriftgateError(
            ErrorCode.SUPPORT_TOO_LARGE,
            f"objective.k is {spec.objective.k}, but the vocabulary has only {facts.vocab_size} "
            "tokens.",
            [Violation("objective.k", str(spec.objective.k), f"1 to {facts.vocab_size}")],
        )


def _check_masked_tokens(spec: JobSpec, facts: ModelFacts) -> None:
    beyond = [token_id for token_id in spec.masked_token_ids if token_id >= facts.vocab_size]
    if beyond:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"masked_token_ids names {beyond[0]}, but token ids end at {facts.vocab_size - 1}.",
            [Violation("masked_token_ids", str(beyond[0]), f"0 to {facts.vocab_size - 1}")],
        )


def _check_positions(
    spec: JobSpec, *, student: ModelFacts | None, teacher: ModelFacts | None
) -> None:
    """Prompt and response have to fit into the positions of every model that reads them."""
    violations = [
        Violation(
            response_field,
            str(num_response_tokens),
            f"at most {max(0, limit - spec.rollout.max_prompt_tokens)}: {name} has {limit} positions "
            f"and rollout.max_prompt_tokens is {spec.rollout.max_prompt_tokens}",
        )
        for response_field, num_response_tokens, name, limit in _position_limits(
            spec, student=student, teacher=teacher
        )
        if spec.rollout.max_prompt_tokens + num_response_tokens > limit
    ]
    if violations:
        first = violations[0]
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"Prompt and response do not fit: {first.field} is {first.given}, allowed: "
            f"{first.allowed}. Lower it or rollout.max_prompt_tokens.",
            violations,
        )


def _position_limits(
    spec: JobSpec, *, student: ModelFacts | None, teacher: ModelFacts | None
) -> Iterator[tuple[str, int, str, int]]:
    """Field and number of response tokens, name and positions of each model that reads them."""
    training = ("rollout.max_response_tokens", spec.rollout.max_response_tokens)
    evaluation = ("evaluation.max_response_tokens", spec.evaluation.max_response_tokens)
    uses = [(*training, "the student", student), (*training, "the teacher", teacher)]
    if spec.evaluation.benchmarks:
        uses.append((*evaluation, "the student", student))
        if spec.evaluation.evaluate_teacher:
            uses.append((*evaluation, "the teacher", teacher))
    for field, num_tokens, name, facts in uses:
        if facts is not None and facts.max_positions is not None:
            yield field, num_tokens, name, facts.max_positions


def _check_prompts(source: ProblemSource, *, settings: Settings, field: str) -> int:
    """Number of problems. Raises as `load_problems` does."""
    num_unseen = _num_left_to_worker(source, settings=settings, field=field)
    if num_unseen is not None:
        return num_unseen
    if isinstance(source, DatasetSource):
        return num_problems_uploaded(source, settings=settings, field=field)
    return len(
        load_problems(source, settings=settings, split="training", field=field, graded=False)
    )


def _check_benchmark(benchmark: BenchmarkSpec, *, settings: Settings, field: str) -> int:
    """Number of problems. Raises as `load_benchmark` does."""
    check_benchmark_name(benchmark, field=field)
    num_unseen = _num_left_to_worker(benchmark.problems, settings=settings, field=field)
    if num_unseen is not None:
        return num_unseen
    return len(load_benchmark(benchmark, settings=settings, field=field))


def _num_left_to_worker(source: ProblemSource, *, settings: Settings, field: str) -> int | None:
    """Problems of a set that a submission does not wait for; None of one that it checks itself."""
    if isinstance(source, ArithmeticSource) and source.num_problems > MAX_GENERATED_PROBLEMS:
        check_arithmetic_size(source, field=field)
        return source.num_problems
    if isinstance(source, PublishedSource) and is_left_to_worker(source.name, settings=settings):
        return PUBLICATIONS[source.name].num_problems
    return None
