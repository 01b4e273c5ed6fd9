"""The GPU as a job meets it: samples that repeat, a job from its claim to its results, memory that runs out."""

from pathlib import Path

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.spec import ComputeSpec
from service.jobs.state import JobState
from tests.gpu.device import GPU, needs_gpu
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from tests.worker.training.tiny_models import EOS, PAD, tiny_qwen3
from worker.execute import _failure_of_bug
from worker.rollouts.engine import RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.device_memory import refuse_too_little_memory
from worker.training.models import compute_choice, compute_device, compute_dtype
from worker.training.peak_rate import peak_flops_per_second

pytestmark = needs_gpu


def test_equal_requests_give_equal_samples() -> None:
    def sampled() -> list:
        engine = TransformersEngine(
            tiny_qwen3(1, dtype=torch.float32).to(GPU),
            eos_token_ids=frozenset({EOS}),
            pad_token_id=PAD,
            device=GPU,
            max_batch_size=8,
        )
        requests = [RolloutRequest((3, 4, 5), (1, 2, 3)), RolloutRequest((6,), (4, 5))]
        sampling = SamplingParams(temperature=1.0, top_p=0.9, max_response_tokens=24)
        return engine.generate(requests, sampling=sampling)

    assert sampled() == sampled()


def test_auto_computes_in_bfloat16_where_the_gpu_does() -> None:
    device = compute_device(ComputeSpec())
    dtype = compute_dtype(ComputeSpec(), device)
    assert device.type == "cuda"
    assert (dtype is torch.bfloat16) == torch.cuda.is_bf16_supported()
    assert str(dtype).removeprefix("torch.") in compute_choice(ComputeSpec(), device, dtype)


def test_the_peak_of_products_is_a_gpu_s() -> None:
    assert peak_flops_per_second(GPU, torch.bfloat16) > 1e12


@pytest.mark.parametrize(
    "compute",
    [
        {"device": "cuda"},
        {"device": "cuda", "dtype": "float32", "layout": "padded"},
        {"device": "cuda", "offload": "both", "gradient_checkpointing": True},
    ],
)
def test_a_job_trains_and_evaluates_on_the_gpu(
    compute: dict, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DRIFTGATE_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    bench = Bench(sqlite_url, tmp_path / "artifacts")
    job = bench.run(small_job(compute=compute, steps=4))
    assert job.state is JobState.SUCCEEDED, job.failure
    (chosen,) = (e for e in bench.jobs.events(job.id).events if e.type == "compute_chosen")
    assert " on cuda: " in chosen.message
    shares = bench.results.metrics(job.id).columns[Metric.UPDATE_MFU]
    assert all(0 < share < 1 for share in shares)
    assert [stage for stage, *_ in bench.outcomes(job.id)] == ["baseline", "final"]


def test_a_student_whose_optimiser_does_not_fit_is_refused_before_it_trains() -> None:
    student = tiny_qwen3(1, dtype=torch.bfloat16).to(GPU)
    refuse_too_little_memory(student, device=GPU)
    free_bytes, _ = torch.cuda.mem_get_info(GPU)
    with torch.device("meta"):  # parameters without memory, more than the GPU has room for
        huge = torch.nn.Linear(free_bytes // 8, 1, dtype=torch.bfloat16)
    with pytest.raises(DriftgateError, match="trained parameters take") as raised:
        refuse_too_little_memory(huge, device=GPU)
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY


def test_a_gpu_that_is_out_of_memory_is_named() -> None:
    with pytest.raises(torch.OutOfMemoryError) as raised:
        torch.empty(2**50, dtype=torch.uint8, device=GPU)
    failure = _failure_of_bug(raised.value)
    assert failure.code is ErrorCode.OUT_OF_MEMORY
    assert "Lower compute.max_tokens_per_microbatch" in failure.message
