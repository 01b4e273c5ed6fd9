"""The demo's student, teacher and prompts, which rollouts and end-to-end runs are measured with."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from service.demo.jobs import demo_specs
from service.jobs.spec import JobSpec
from service.preflight.models import download_model
from service.preflight.problems import load_problems
from service.settings import Settings
from worker.rollouts.prompts import Prompt, encode_prompts
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.models import eos_token_ids, load_causal_lm, load_tokenizer, pad_token_id

CPU = torch.device("cpu")
DEMO_SPEC: JobSpec = demo_specs(1)[0]


@cache
def tokenizer() -> Any:
    return load_tokenizer(folder_of("student"))


def folder_of(role: str) -> Path:
    return download_model(getattr(DEMO_SPEC, role), settings=Settings(), field=role)


def fresh_model(role: str) -> PreTrainedModel:
    """The student or the teacher as it ships; a copy of its own each time."""
    return copy.deepcopy(_loaded(role))


@cache
def _loaded(role: str) -> PreTrainedModel:
    return load_causal_lm(folder_of(role), device=CPU, dtype=torch.float32)


@cache
def prompts(num_prompts: int) -> tuple[Prompt, ...]:
    """The first training prompts of the demo."""
    source = DEMO_SPEC.prompts.problems
    problems = load_problems(
        source, settings=Settings(), split="training", field="prompts", graded=False
    )
    return encode_prompts(
        problems[:num_prompts],
        source=source,
        prompt_format=DEMO_SPEC.prompts.format,
        tokenizer=tokenizer(),
        max_prompt_tokens=DEMO_SPEC.rollout.max_prompt_tokens,
        field="prompts",
    )


def engine_of(student: PreTrainedModel) -> TransformersEngine:
    return TransformersEngine(
        student,
        eos_token_ids=eos_token_ids(student, tokenizer()),
        pad_token_id=pad_token_id(tokenizer()),
        device=CPU,
        max_batch_size=DEMO_SPEC.compute.rollout_batch_size,
    )
