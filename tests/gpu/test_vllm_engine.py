"""vLLM on a GPU: what it lends while it rests, and that weights follow."""

from importlib.util import find_spec

import pytest
import torch

from service.jobs.catalog import Metric
from tests.gpu.device import GPU, needs_gpu
from tests.worker.rollouts.engine_subjects import EOS, small_qwen3
from worker.rollouts.engine import RolloutRequest, SamplingParams

pytestmark = [
    *needs_gpu,
    pytest.mark.skipif(
        find_spec("vllm") is None,
        reason="vLLM is not installed; requirements/vllm-cuda.txt has it",
    ),
]


def test_weights_follow_through_a_rest_that_lends_its_memory() -> None:
    from worker.rollouts.vllm_engine import VllmEngine  # noqa: PLC0415 where it is installed

    model = small_qwen3(1).to(GPU, torch.bfloat16)
    engine = VllmEngine(
        model,
        plain_tensors=model.state_dict,
        eos_token_ids=frozenset({EOS}),
        device=GPU,
        max_batch_size=8,
        max_sequence_tokens=128,
    )
    request = RolloutRequest((3, 4, 5), (1, 2, 3))
    sampling = SamplingParams(temperature=1.0, top_p=0.9, max_response_tokens=24)
    before = engine.generate([request], sampling=sampling)
    free_bytes, _ = torch.cuda.mem_get_info()

    engine.rest()
    assert torch.cuda.mem_get_info()[0] > free_bytes
    assert engine.generate([request], sampling=sampling) == before

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.2)
    engine.weights_changed()
    assert engine.synchronize()[Metric.PARITY_GAP] < 0.5
    assert engine.generate([request], sampling=sampling) != before
