"""What is kept of an update token by token: the updates, the responses, and a gate tried on them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from service.jobs.catalog import Metric
from service.jobs.diagnostics_spec import steps_with_token_drift
from service.jobs.records import UpdateRecord
from service.statistics.gate_effect import weight_sums
from service.statistics.gate_simulation import simulated_gate
from service.statistics.token_drift import token_drift_of
from tests.worker.training.test_trainer import make_spec, make_trainer, newest, run
from worker.training.token_drift import kept_responses

GATES = [
    {"block_size": 4, "strength": 20},
    {"granularity": "token", "aggregation": "mean_abs", "strength": {"adaptive": 0.5}},
    {"granularity": "newline_span", "min_span": 2, "max_span": 5, "normalization": "sequence"},
]


def updates_kept(records: list[UpdateRecord]) -> list[int]:
    return [record.update for record in records if record.token_drift is not None]


@pytest.mark.parametrize("objective", [{"type": "sampled_token"}, {"type": "teacher_topk", "k": 4}])
@pytest.mark.parametrize("gate", GATES)
def test_a_jobs_own_gate_put_over_what_was_kept_has_the_figures_that_were_recorded(
    gate: dict, objective: dict, tmp_path: Path
) -> None:
    spec = make_spec(gate=gate, objective=objective, steps=1, reuse={"epochs": 3, "minibatches": 2})

    records, _ = run(make_trainer(spec), tmp_path)

    assert updates_kept(records) == [1, 2, 3, 4, 5, 6]
    assert [record.token_drift.minibatch for record in records] == [1, 2] * 3
    for record in records:
        drift = token_drift_of(record.token_drift)
        simulated = simulated_gate(drift, spec=spec.gate)
        sums = weight_sums(simulated.weights_N, drift.abs_losses_N, num_units=1)
        recorded = record.metrics
        assert sums.num_tokens == drift.lengths_R.sum() == recorded[Metric.NUM_TOKENS]
        assert simulated.strength == pytest.approx(recorded[Metric.GATE_STRENGTH], rel=2e-3)
        near = {"rel": 5e-3, "abs": 1e-5}
        assert sums.standard_deviation == pytest.approx(recorded[Metric.GATE_STD], **near)
        assert sums.smallest == pytest.approx(recorded[Metric.GATE_MIN], **near)
        assert sums.largest == pytest.approx(recorded[Metric.GATE_MAX], **near)
        ess = recorded[Metric.GATE_EFFECTIVE_SAMPLE_SIZE]
        assert sums.effective_sample_size == pytest.approx(ess, rel=1e-3)
        mean_abs = float(np.abs(drift.drift_N).mean())
        assert mean_abs == pytest.approx(recorded[Metric.DRIFT_MEAN_ABS], **near)
    assert records[-1].metrics[Metric.GATE_STD] > 1e-4


def test_the_losses_kept_are_those_that_the_gate_weighed(tmp_path: Path) -> None:
    # With A = −1 and no clip l = r = e^d, so that the loss kept follows from the drift kept.
    constant = {"type": "sampled_token", "advantage": "constant", "clip_range": None}
    spec = make_spec(objective=constant, steps=1)
    records, _ = run(make_trainer(spec), tmp_path)
    for record in records:
        drift = token_drift_of(record.token_drift)
        np.testing.assert_allclose(drift.abs_losses_N, np.exp(drift.drift_N), rtol=2e-3)


def test_keeping_changes_no_bit_of_the_training_and_takes_whole_steps(tmp_path: Path) -> None:
    # Four updates a step, six may be kept: one step of three, the middle one.
    some, _ = run(
        make_trainer(make_spec(diagnostics={"token_drift_updates": 6})), tmp_path / "some"
    )
    none, _ = run(
        make_trainer(make_spec(diagnostics={"token_drift_updates": 0})), tmp_path / "none"
    )
    assert updates_kept(some) == [5, 6, 7, 8]
    assert updates_kept(none) == []
    kept, plain = (
        load_file(newest(tmp_path / name) / "model.safetensors") for name in ("some", "none")
    )
    assert all(torch.equal(kept[name], plain[name]) for name in plain)


def test_nothing_is_kept_where_drift_was_looked_at_on_some_tokens_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("worker.training.update.LARGE_VOCABULARY", 0)
    spec = make_spec(
        objective={"type": "teacher_topk", "k": 4}, gate={"granularity": "none"}, steps=1
    )
    records, _ = run(make_trainer(spec), tmp_path)
    assert updates_kept(records) == []
    assert Metric.DRIFT_MEAN_ABS in records[-1].metrics


def test_responses_beyond_the_limit_are_left_out_whole_and_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("worker.training.token_drift.MAX_TOKENS_KEPT", 30)
    records, _ = run(make_trainer(make_spec(steps=1)), tmp_path)
    for record in records:
        drift = token_drift_of(record.token_drift)
        assert len(drift.drift_N) == len(drift.abs_losses_N) == drift.lengths_R.sum() <= 30
        assert len(drift.lengths_R) + record.token_drift.num_responses_left_out == 3
        assert record.token_drift.num_responses_left_out > 0


def test_responses_that_do_not_all_fit_are_taken_evenly_from_long_to_short() -> None:
    lengths = [9, 8, 7, 6, 5, 4, 3, 2]
    assert kept_responses(lengths, max_tokens=44) == slice(0, None, 1)
    assert lengths[kept_responses(lengths, max_tokens=43)] == [8, 6, 4, 2]
    assert lengths[kept_responses(lengths, max_tokens=10)] == [7, 2]
    assert lengths[kept_responses([100, 90], max_tokens=10)] == []


@pytest.mark.parametrize(
    ("steps", "updates_per_step", "max_updates", "expected"),
    [
        (3, 2, 64, [1, 2, 3]),
        (200, 2, 64, None),
        (10, 4, 8, [3, 8]),
        (10, 4, 7, [6]),
        (10, 65, 64, []),
        (10, 1, 0, []),
    ],
)
def test_whole_steps_are_kept_evenly_over_a_job(
    steps: int, updates_per_step: int, max_updates: int, expected: list[int] | None
) -> None:
    kept = sorted(
        steps_with_token_drift(
            steps=steps, updates_per_step=updates_per_step, max_updates=max_updates
        )
    )
    if expected is None:
        assert len(kept) == 32
        assert {later - earlier for earlier, later in pairwise(kept)} == {6, 7}
        assert (kept[0], kept[-1]) == (4, 197)
    else:
        assert kept == expected
