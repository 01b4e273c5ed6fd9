"""A whole job whose every response vLLM drew, in a real child."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.preflight.folder_signature import BUILTIN_FOLDER
from service.settings import Settings
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job

pytestmark = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed; `make test-vllm` installs it"
)


def save_model(folder: Path, *, seed: int) -> None:
    """A Qwen3 with the built-in tokenizer, and heads as wide as vLLM's kernels for a CPU want them."""
    source = BUILTIN_FOLDER / "arithmetic-student"
    tokenizer = AutoTokenizer.from_pretrained(source)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        initializer_range=0.15,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DRIFTGATE_DATA_DIR", str(tmp_path / "var"))
    for seed, name in enumerate(("student", "teacher")):
        save_model(tmp_path / "var" / "models" / name, seed=seed)
    return Bench(sqlite_url, tmp_path / "var" / "artifacts")


def job_on_vllm(**changes: object) -> JobSpec:
    return small_job(
        student={"model": "student"},
        teacher={"model": "teacher"},
        compute={"device": "cpu", "engine": "vllm"},
        checkpoint={"every_steps": 4},
        **changes,
    )


def test_a_job_trains_and_evaluates_on_what_vllm_draws(bench: Bench) -> None:
    job = bench.run(job_on_vllm(steps=4))

    assert job.state is JobState.SUCCEEDED, job.failure
    assert (job.progress.step, job.progress.update) == (4, 8)
    events = bench.jobs.events(job.id).events
    (chosen,) = [event.message for event in events if event.type == "compute_chosen"]
    assert chosen.endswith("Responses by vllm.")
    metrics = bench.results.metrics(job.id).columns
    # Each step of two updates was sampled with the weights of the update before, and the probe has seen them.
    gaps = metrics[Metric.PARITY_GAP]
    assert [gap is not None for gap in gaps] == [True, False] * 4
    assert all(0 < gap < 1e-4 for gap in gaps[::2])
    assert len(set(gaps[::2])) > 1
    assert all(seconds > 0 for seconds in metrics[Metric.SYNC_SECONDS][::2])
    assert max(abs(value) for value in metrics[Metric.DRIFT_MEAN_ABS][1::2]) > 0
    assert [stage for stage, *_ in bench.outcomes(job.id)] == ["baseline", "final"]


def engine_that_keeps_its_first_weights(model, _tokenizer, end_tokens, _compute, device, longest):
    from worker.rollouts.vllm_engine import VllmEngine  # noqa: PLC0415 where it is installed

    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return VllmEngine(
        model,
        plain_tensors=lambda: first,
        eos_token_ids=end_tokens,
        device=device,
        max_batch_size=16,
        max_sequence_tokens=longest,
    )


def test_a_job_whose_weights_do_not_arrive_ends_before_it_samples_from_old_ones(
    bench: Bench,
) -> None:
    job_id = bench.submit(job_on_vllm(steps=2, evaluation={}))

    with pytest.raises(DriftgateError, match="stale or wrong") as refusal:
        bench.attempt_here(
            job_id, settings=Settings(), make_engine=engine_that_keeps_its_first_weights
        )

    assert refusal.value.code is ErrorCode.ENGINE_OUT_OF_SYNC
    # The first step was sampled from the weights as they were loaded, and both of its updates are kept.
    assert bench.results.metrics(job_id).update == (1, 2)
