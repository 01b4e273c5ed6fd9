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
from service.preflight.models import download_model
from service.preflight.warm_start import find_warm_start
from worker.attempt import Attempt
from worker.attempt_artifacts import local_checkpoint
from worker.rollouts.engine import RolloutEngine
from worker.training.adapter import add_adapter
from worker.training.models import (
    checkpoint_layers,
    eos_token_ids,
    load_causal_lm,
    load_tokenizer,
)


@dataclass(frozen=True, slots=True)
class Models:
    """Student and teacher, loaded, and engines that sample from them in place."""

    student: PreTrainedModel
    teacher: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    student_engine: RolloutEngine
    teacher_engine: RolloutEngine


def load_models(
    attempt: Attempt, spec: JobSpec, *, device: torch.device, dtype: torch.dtype
) -> Models:
    """The student as it starts, before any checkpoint of this job.

    Raises what submission would for models that are not there, and CHECKPOINT_CORRUPT for a warm start
    whose files are not what the earlier job saved.
    """
    if spec.student.hub_token is not None or spec.teacher.hub_token is not None:
        _record_warnings(attempt, check_on_worker(spec, attempt.settings).warnings)
    with _student_folder(attempt, spec) as student_folder:
        tokenizer = load_tokenizer(student_folder)
        student = load_causal_lm(student_folder, device=device, dtype=dtype)
    if spec.lora is not None:
        add_adapter(student, spec=spec.lora, seed=spec.seed)
    if spec.compute.gradient_checkpointing:
        checkpoint_layers(student)
    teacher_folder = download_model(spec.teacher, settings=attempt.settings, field="teacher")
    teacher = load_causal_lm(teacher_folder, device=device, dtype=dtype)
    teacher.requires_grad_(requires_grad=False)
    end_tokens = eos_token_ids(student, tokenizer)
    student_engine, teacher_engine = (
        attempt.make_engine(model, tokenizer, end_tokens, spec.compute, device)
        for model in (student, teacher)
    )
    return Models(student, teacher, tokenizer, student_engine, teacher_engine)


def load_evaluated_model(
    attempt: Attempt, spec: EvaluationJobSpec, *, device: torch.device, dtype: torch.dtype
) -> tuple[RolloutEngine, PreTrainedTokenizerBase]:
    """An engine of the model, and its tokenizer. Raises what submission would."""
    if spec.model.hub_token is not None:
        findings = check_evaluation_on_worker(spec, attempt.settings)
        _record_warnings(attempt, findings.warnings)
    folder = download_model(spec.model, settings=attempt.settings, field="model")
    tokenizer = load_tokenizer(folder)
    model = load_causal_lm(folder, device=device, dtype=dtype)
    end_tokens = eos_token_ids(model, tokenizer)
    return attempt.make_engine(model, tokenizer, end_tokens, spec.compute, device), tokenizer


@contextmanager
def _student_folder(attempt: Attempt, spec: JobSpec) -> Iterator[Path]:
    """The named model, or the checkpoint of an earlier job, proved whole."""
    warm_start = spec.warm_start
    if warm_start is None:
        yield download_model(spec.student, settings=attempt.settings, field="student")
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
