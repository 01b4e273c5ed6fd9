"""The models of an attempt, from what the spec names to engines that sample from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from service.jobs.spec import JobSpec
from service.preflight.models import download_model
from service.preflight.warm_start import find_warm_start
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from worker.database_outage import outlast_outage
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.adapter import add_adapter
from worker.training.checkpoints import verify_checkpoint
from worker.training.models import (
    checkpoint_layers,
    eos_token_ids,
    load_causal_lm,
    load_tokenizer,
    pad_token_id,
)


@dataclass(frozen=True, slots=True)
class Models:
    """Student and teacher, loaded, and engines that sample from them in place."""

    student: PreTrainedModel
    teacher: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    student_engine: TransformersEngine
    teacher_engine: TransformersEngine


def load_models(
    spec: JobSpec,
    *,
    device: torch.device,
    dtype: torch.dtype,
    settings: Settings,
    job_store: JobStore,
    result_store: ResultStore,
    pause: Callable[[], bool],
) -> Models:
    """The student as it starts, before any checkpoint of this job.

    Raises what submission would for models that are not there, and CHECKPOINT_CORRUPT for a warm start
    whose files are not what the earlier job saved.
    """
    student_folder = _student_folder(
        spec, settings=settings, job_store=job_store, result_store=result_store, pause=pause
    )
    tokenizer = load_tokenizer(student_folder)
    student = load_causal_lm(student_folder, device=device, dtype=dtype)
    if spec.lora is not None:
        add_adapter(student, spec=spec.lora, seed=spec.seed)
    if spec.compute.gradient_checkpointing:
        checkpoint_layers(student)
    teacher_folder = download_model(spec.teacher, settings=settings, field="teacher")
    teacher = load_causal_lm(teacher_folder, device=device, dtype=dtype)
    teacher.requires_grad_(requires_grad=False)

    def engine_of(model: PreTrainedModel) -> TransformersEngine:
        return TransformersEngine(
            model,
            eos_token_ids=eos_token_ids(student, tokenizer),
            pad_token_id=pad_token_id(tokenizer),
            device=device,
            max_batch_size=spec.compute.rollout_batch_size,
        )

    return Models(student, teacher, tokenizer, engine_of(student), engine_of(teacher))


def _student_folder(
    spec: JobSpec,
    *,
    settings: Settings,
    job_store: JobStore,
    result_store: ResultStore,
    pause: Callable[[], bool],
) -> Path:
    """The named model, or the checkpoint of an earlier job, proved whole."""
    warm_start = spec.warm_start
    if warm_start is None:
        return download_model(spec.student, settings=settings, field="student")
    checkpoint = outlast_outage(
        lambda: find_warm_start(
            warm_start, student=spec.student, job_store=job_store, result_store=result_store
        ),
        pause=pause,
    )
    folder = Path(checkpoint.uri)
    verify_checkpoint(folder, manifest_sha256=checkpoint.manifest_sha256)
    return folder
