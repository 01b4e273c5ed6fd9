"""What is recorded of each phase's speed, and how little measuring the peak costs."""

import time

import pytest
import torch

from service.jobs.catalog import Metric
from tests.worker.training.test_trainer import make_spec, make_trainer
from worker.training.model_flops import forward_flops, model_shape, whole_sequences
from worker.training.peak_rate import measure_peak, peak_flops_per_second

CPU = torch.device("cpu")
OF_A_STEP = {
    Metric.ROLLOUT_TOKENS_PER_SECOND,
    Metric.ROLLOUT_MFU,
    Metric.SCORE_TOKENS_PER_SECOND,
    Metric.SCORE_MFU,
}
OF_AN_UPDATE = {Metric.UPDATE_TOKENS_PER_SECOND, Metric.UPDATE_MFU}


def test_every_update_records_its_speed_and_the_first_of_a_step_that_of_its_rollouts() -> None:
    spec = make_spec(steps=1, reuse={"epochs": 2})
    trainer, records = make_trainer(spec), []
    trainer.train(on_update=records.append, on_checkpoint=lambda _: None, should_stop=lambda: False)
    first, second = (record.metrics for record in records)
    assert first.keys() >= OF_A_STEP | OF_AN_UPDATE
    assert second.keys() >= OF_AN_UPDATE
    assert not OF_A_STEP & second.keys()
    assert first[Metric.ROLLOUT_TOKENS_PER_SECOND] == pytest.approx(
        first[Metric.ROLLOUT_RESPONSE_TOKENS] / first[Metric.ROLLOUT_SECONDS]
    )
    shares = [
        metrics[name] for metrics in (first, second) for name in metrics if name.endswith("/mfu")
    ]
    assert len(shares) == 4
    assert all(0 < share < 1 for share in shares)


def test_the_share_of_the_peak_of_scoring_is_its_flops_over_seconds_and_peak() -> None:
    spec = make_spec(steps=1, reuse={"epochs": 1})
    trainer = make_trainer(spec)
    batches = [batch for part in trainer._arranged(_rollouts(trainer)) for batch in part]
    speed = trainer._speed.scoring([batches], seconds=0.5)
    lengths = [length for batch in batches for length in batch.sequence_lengths]
    flops = forward_flops(
        model_shape(trainer._teacher.model),
        whole_sequences(lengths),
        num_head_tokens=sum(batch.num_tokens for batch in batches),
    )
    assert speed[Metric.SCORE_TOKENS_PER_SECOND] == sum(lengths) / 0.5
    peak = peak_flops_per_second(CPU, torch.float32)
    assert speed[Metric.SCORE_MFU] == pytest.approx(flops / 0.5 / peak)


def _rollouts(trainer):
    return trainer._collect().rollouts


def test_the_peak_is_measured_once_and_then_remembered() -> None:
    first = peak_flops_per_second(CPU, torch.float32)
    started = time.perf_counter()
    assert peak_flops_per_second(CPU, torch.float32) == first
    assert time.perf_counter() - started < 0.005


def test_the_measured_peak_is_that_of_products() -> None:
    # 2 · 256³ FLOPs take more than a microsecond and less than a second on any CPU.
    assert 2 * 256**3 < measure_peak(CPU, torch.float32, size=256) < 2 * 256**3 / 1e-6
