"""The models of an attempt, from what the spec names to engines that sample from them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from service.jobs.records import AttemptEvent
from service.jobs.results import SpecWarning
from service.jobs.spec import EvaluationJobSpec, JobSpec
from service.preflight.checks import check_on_worker
from service.preflight.evaluation_checks import check_evaluation_on_worker
from service.preflight.warm_start import find_warm_start
from worker.attempt import Attempt
from worker.attempt_artifacts import local_checkpoint
from worker.attempt_downloads import model_folder
from worker.attempt_teacher import connect_teacher
from worker.ranks_following import compute_of_ranks
from worker.rollouts.engine import RolloutEngine
from worker.training.adapter import add_adapter
from worker.training.compiling import compile_layers
from worker.training.distributed import Task
from worker.training.distributed_rollouts import ShardedTeacher, engine_of_ranks, leading_engine
from worker.training.distributed_sharding import shard_model
from worker.training.models import (
    checkpoint_layers,
    eos_token_ids,
    load_causal_lm,
    load_tokenizer,
)
from worker.training.offload import send_away
from worker.training.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Models:
    """Student and teacher, loaded, and engines that sample from them; none of a teacher that is on a server.

    With several ranks the models are sharded. training_engine: the student's, which all of them call at once; the
    others have the ranks take part.
    """

    student: PreTrainedModel
    teacher: Teacher
    tokenizer: PreTrainedTokenizerBase
    student_engine: RolloutEngine
    teacher_engine: RolloutEngine | None
    training_engine: RolloutEngine


def load_models(
    attempt: Attempt, spec: JobSpec, *, device: torch.device, dtype: torch.dtype
) -> Models:
    """The student as it starts, before any checkpoint of this job.

    Raises what submission would for models that are not there, and CHECKPOINT_CORRUPT for a warm start
    whose files are not what the earlier job saved.
    """
    if spec.student.hub_token is not None or spec.teacher.hub_token is not None:
        _record_warnings(attempt, check_on_worker(spec, attempt.settings).warnings)
    ranks, longest = attempt.ranks, max_sequence_tokens(spec)
    compute = compute_of_ranks(spec.compute, ranks=ranks)
    ranks.order(Task.LOAD, (spec, longest))
    remote_teacher = None if spec.teacher.endpoint is None else connect_teacher(attempt, spec)
    with _student_folder(attempt, spec) as student_folder:
        ranks.order(Task.LOAD_STUDENT, student_folder)
        tokenizer = load_tokenizer(student_folder)
        student = load_causal_lm(student_folder, device=device, dtype=dtype)
        shard_model(student, ranks=ranks, device=device)
    if spec.lora is not None:
        add_adapter(student, spec=spec.lora, seed=spec.seed)
    if spec.compute.compile:
        compile_layers(student)
    if spec.compute.gradient_checkpointing:
        checkpoint_layers(student)
    end_tokens = eos_token_ids(student, tokenizer)
    training_engine = engine_of_ranks(
        attempt.make_engine(student, tokenizer, end_tokens, compute, device, longest),
        model=student,
        ranks=ranks,
    )
    student_engine = leading_engine(training_engine, task=Task.SAMPLE_STUDENT, ranks=ranks)
    if remote_teacher is not None:
        return Models(student, remote_teacher, tokenizer, student_engine, None, training_engine)
    teacher_folder = model_folder(attempt, spec.teacher, field="teacher")
    ranks.order(Task.LOAD_TEACHER, teacher_folder)
    teacher = load_causal_lm(teacher_folder, device=device, dtype=dtype)
    teacher.requires_grad_(requires_grad=False)
    shard_model(teacher, ranks=ranks, device=device)
    if spec.compute.compile:
        compile_layers(teacher)
    if spec.compute.offload in {"teacher", "both"}:
        send_away(teacher, device=device)
    # vLLM allows one engine that sleeps in a process, and that is the student's.
    in_place = spec.compute.model_copy(update={"engine": "transformers"})
    teacher_engine = leading_engine(
        engine_of_ranks(
            attempt.make_engine(teacher, tokenizer, end_tokens, in_place, device, longest),
            model=teacher,
            ranks=ranks,
        ),
        task=Task.SAMPLE_TEACHER,
        ranks=ranks,
    )
    scoring = ShardedTeacher(teacher, objective=spec.objective)
    return Models(student, scoring, tokenizer, student_engine, teacher_engine, training_engine)


def load_evaluated_model(
    attempt: Attempt, spec: EvaluationJobSpec, *, device: torch.device, dtype: torch.dtype
) -> tuple[RolloutEngine, PreTrainedTokenizerBase]:
    """An engine of the model, and its tokenizer. Raises what submission would."""
    if spec.model.hub_token is not None:
        findings = check_evaluation_on_worker(spec, attempt.settings)
        _record_warnings(attempt, findings.warnings)
    folder = model_folder(attempt, spec.model, field="model")
    tokenizer = load_tokenizer(folder)
    model = load_causal_lm(folder, device=device, dtype=dtype)
    end_tokens = eos_token_ids(model, tokenizer)
    longest = spec.max_prompt_tokens + spec.evaluation.max_response_tokens
    engine = attempt.make_engine(model, tokenizer, end_tokens, spec.compute, device, longest)
    return engine, tokenizer


def max_sequence_tokens(spec: JobSpec) -> int:
    """Tokens of the longest prompt with the longest response, of training and of evaluation."""
    longest_response = spec.rollout.max_response_tokens
    if spec.evaluation.benchmarks:
        longest_response = max(longest_response, spec.evaluation.max_response_tokens)
    return spec.rollout.max_prompt_tokens + longest_response


@contextmanager
def _student_folder(attempt: Attempt, spec: JobSpec) -> Iterator[Path]:
    """The named model, or the checkpoint of an earlier job, proved whole."""
    warm_start = spec.warm_start
    if warm_start is None:
        yield model_folder(attempt, spec.student, field="student")
        return
    checkpoint = attempt.outlast(
        lambda: find_warm_start(
            warm_start,
            student=spec.student,
            job_store=attempt.job_store,
            result_store=attempt.result_store,
        )
    )
    with local_checkpoint(attempt, checkpoint) as folder:
        yield folder


def _record_warnings(attempt: Attempt, warnings: Sequence[SpecWarning]) -> None:
    """Of models that submission could not read: those that the job carries are not all there are."""
    told = "; ".join(f"{one.code} ({one.field}): {one.message}" for one in warnings)
    attempt.recorder.record_now(
        AttemptEvent("checked_by_worker", f"Models checked. Warnings: {told or 'none'}")
    )
