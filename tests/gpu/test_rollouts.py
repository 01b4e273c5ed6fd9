"""Rollouts on a GPU: recorded steps are those that they record, and equal requests give equal samples in bfloat16."""

import pytest
import torch

from benchmarks.gpu.shapes import SHAPES
from tests.gpu.device import GPU, needs_gpu
from tests.worker.training.tiny_models import EOS, PAD, tiny_qwen3
from worker.rollouts.engine import Response, RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine

pytestmark = needs_gpu
# More than the cache has room for at first, so that it grows.
SAMPLING = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=300)


def engine_of(model: torch.nn.Module, *, eos: int) -> TransformersEngine:
    return TransformersEngine(
        model, eos_token_ids=frozenset({eos}), pad_token_id=PAD, device=GPU, max_batch_size=64
    )


def requests(num_prompts: int, *, samples: int) -> list[RolloutRequest]:
    return [
        RolloutRequest(tuple(range(3, 5 + place)), tuple(range(100 * place, 100 * place + samples)))
        for place in range(num_prompts)
    ]


@pytest.mark.parametrize("eos", [EOS, 28])  # the second is rare: rows leave late
def test_recorded_steps_sample_what_unrecorded_ones_do(
    eos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sampled() -> list[list[Response]]:
        # In float64 nothing can fall on the other side of a rounding.
        engine = engine_of(tiny_qwen3(1).to(GPU), eos=eos)
        return engine.generate(requests(4, samples=8), sampling=SAMPLING)

    recorded = sampled()
    monkeypatch.setattr(TransformersEngine, "_decoder_of_batch", lambda engine: engine._decode)
    assert recorded == sampled()
    assert len({len(response.token_ids) for each in recorded for response in each}) > 4


def test_equal_requests_give_equal_samples_in_bfloat16() -> None:
    model = SHAPES["0.6b"].model(device=GPU, dtype=torch.bfloat16, num_layers=4)
    engine = engine_of(model, eos=EOS)
    wanted = requests(8, samples=8)
    first = engine.generate(wanted, sampling=SAMPLING)
    assert first == engine.generate(wanted, sampling=SAMPLING)
