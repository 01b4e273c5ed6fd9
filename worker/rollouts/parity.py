"""The parity probe: does an engine with a copy of the weights give the log-probs of the model itself?

A few fixed sequences are scored by both after every sync. The probe sees what rounding does not explain: wrong
copies, and stale ones once their log-probs are behind by more than its tolerance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from service.jobs.seeds import derive_seed

# Legend: P prompts, S positions, V vocabulary.

NUM_PROMPTS = 4
# More than one block of a prefix cache, so that a cache of earlier weights shows too.
NUM_PROMPT_TOKENS = 40
NUM_CONTINUATION_TOKENS = 8

# Sound copies of models up to 135M parameters differed by up to 1e-4 in float32 on a CPU; a GPU's kernels may multiply
# in TF32, whose products are 8,000 times as coarse as float32's. In bfloat16, whose logits between 16 and 32 are 0.125
# apart, they differed by up to 0.13.
CPU_TOLERANCE_NATS = 0.001
TF32_TOLERANCE_NATS = 0.01
BFLOAT16_TOLERANCE_NATS = 0.5


@dataclass(frozen=True, slots=True)
class ScoredTokens:
    """A sequence, and an engine's log-probs of its tokens after the first, nats."""

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...]


def probe_prompts(*, vocabulary_size: int, num_tokens: int) -> list[tuple[int, ...]]:
    """The same token ids in every probe of a model; arbitrary ones, since any text would do."""
    generator = torch.Generator().manual_seed(derive_seed("parity-probe", vocabulary_size))
    token_ids_PS = torch.randint(vocabulary_size, (NUM_PROMPTS, num_tokens), generator=generator)
    return [tuple(row) for row in token_ids_PS.tolist()]


def check_parity(
    model: PreTrainedModel, scored: Sequence[ScoredTokens], *, engine_name: str
) -> float:
    """The largest gap between the engine's log-probs and the model's, nats; sequences are of one length.

    Raises ENGINE_OUT_OF_SYNC where it is beyond what rounding explains in the model's dtype.
    """
    gap_nats = _largest_gap_nats(model, scored)
    tolerance_nats = _tolerance_nats(model)
    if not gap_nats <= tolerance_nats:  # NaN is no parity
        num_tokens = sum(len(each.log_probs) for each in scored)
        raise DriftgateError(
            ErrorCode.ENGINE_OUT_OF_SYNC,
            f"After it took over the weights, {engine_name} differs from the trainer's model by "
            f"{gap_nats:.4g} nats in the log-prob of one of {num_tokens} probe tokens; rounding in "
            f"{str(model.dtype).removeprefix('torch.')} on {model.device.type} explains at most "
            f"{tolerance_nats:g}. Its weights are "
            "stale or wrong, so nothing was sampled from it. Set compute.engine to 'transformers', which "
            "samples from the trainer's model itself, and report the model and this message.",
        )
    return gap_nats


def _tolerance_nats(model: PreTrainedModel) -> float:
    if model.dtype is torch.bfloat16:
        return BFLOAT16_TOLERANCE_NATS
    return CPU_TOLERANCE_NATS if model.device.type == "cpu" else TF32_TOLERANCE_NATS


@torch.no_grad()
def _largest_gap_nats(model: PreTrainedModel, scored: Sequence[ScoredTokens]) -> float:
    token_ids_PS = torch.tensor([each.token_ids for each in scored], device=model.device)
    of_engine_PS = torch.tensor([each.log_probs for each in scored], dtype=torch.float64)
    logits_PSV = model(input_ids=token_ids_PS).logits[:, :-1]
    of_model_PS = _log_probs(logits_PSV, token_ids_PS[:, 1:]).cpu()
    return float((of_engine_PS - of_model_PS).abs().max())


def _log_probs(logits_PSV: Tensor, token_ids_PS: Tensor) -> Tensor:
    normalisers_PS = logits_PSV.double().logsumexp(dim=-1)
    chosen_PS = logits_PSV.double().gather(-1, token_ids_PS[..., None])[..., 0]
    return chosen_PS - normalisers_PS
