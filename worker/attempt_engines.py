"""The engine that a job's responses come from."""

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from service.jobs.spec import ComputeSpec
from worker.rollouts.engine import RolloutEngine
from worker.rollouts.engine_choice import choose_engine
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.models import pad_token_id
from worker.training.student_files import plain_tensors


def make_engine(  # noqa: PLR0917 an EngineFactory
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    end_tokens: frozenset[int],
    compute: ComputeSpec,
    device: torch.device,
    max_sequence_tokens: int,
) -> RolloutEngine:
    """The engine that the spec chooses. Raises INVALID_SPEC where this worker does not have it."""
    if choose_engine(compute, device) == "transformers":
        return transformers_engine(
            model, tokenizer, end_tokens, compute, device, max_sequence_tokens
        )
    # Its import takes ten seconds, and most environments do not have it.
    from worker.rollouts.vllm_engine import VllmEngine  # noqa: PLC0415

    return VllmEngine(
        model,
        plain_tensors=lambda: plain_tensors(model),
        eos_token_ids=end_tokens,
        device=device,
        max_batch_size=compute.rollout_batch_size,
        max_sequence_tokens=max_sequence_tokens,
    )


def transformers_engine(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    end_tokens: frozenset[int],
    compute: ComputeSpec,
    device: torch.device,
    _max_sequence_tokens: int,
) -> TransformersEngine:
    """The engine that every worker has."""
    return TransformersEngine(
        model,
        eos_token_ids=end_tokens,
        pad_token_id=pad_token_id(tokenizer),
        device=device,
        max_batch_size=compute.rollout_batch_size,
    )
