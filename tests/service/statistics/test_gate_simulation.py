"""The simulated gate against golden numbers, and the one direction in which it is another than the trainer's."""

import itertools

import numpy as np
import pytest

from service.jobs.loss_spec import GateSpec
from service.jobs.records import TokenDriftRecord
from service.statistics.gate_simulation import simulated_gate
from service.statistics.token_drift import TokenDrift, token_drift_of
from tests.golden_numbers import golden_cases


def drift_of(drifts_by_response: list[list[float]]) -> TokenDrift:
    drift_N = np.array(list(itertools.chain(*drifts_by_response)))
    return TokenDrift(
        drift_N=drift_N,
        abs_losses_N=np.ones_like(drift_N),
        newlines_N=np.zeros(len(drift_N), dtype=bool),
        lengths_R=np.array([len(drifts) for drifts in drifts_by_response]),
    )


@pytest.mark.golden
@pytest.mark.parametrize("case", golden_cases("gates"), ids=lambda case: case["name"])
def test_a_simulated_gate_equals_the_golden_one_to_1e_10(case: dict) -> None:
    valid_BT = np.array(case["mask"], dtype=bool)
    drift_BT = np.array(case["log_prob_cur"]) - np.array(case["log_prob_old"])
    drift = TokenDrift(
        drift_N=drift_BT[valid_BT],
        abs_losses_N=np.ones(valid_BT.sum()),
        newlines_N=np.array(case["newline"], dtype=bool)[valid_BT],
        lengths_R=np.array([length for length in valid_BT.sum(axis=1) if length]),
    )

    gate = simulated_gate(drift, spec=GateSpec.model_validate(case["spec"]))

    expected_BT = np.array(case["gate"])
    np.testing.assert_allclose(gate.weights_N, expected_BT[valid_BT], rtol=1e-10, atol=1e-10)


def test_a_hard_gate_that_closes_everything_is_zero_and_counted() -> None:
    spec = GateSpec(kernel="hard", threshold=0.05, normalization="sequence", block_size=2)
    gate = simulated_gate(drift_of([[0.3, 0.3], [0.0, 0.0]]), spec=spec)
    assert gate.weights_N.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert gate.num_scopes_closed == 1


def test_a_shuffled_gate_is_the_same_gates_dealt_within_each_response() -> None:
    drift = drift_of([[0.1, 0.2, 0.3, 0.4], [1.5, 1.6, 1.7, 1.8]])
    spec = GateSpec(block_size=1, normalization="sequence", direction="shuffled")
    damped = simulated_gate(drift, spec=spec.model_copy(update={"direction": "damp"})).weights_N
    dealt = simulated_gate(drift, spec=spec, shuffle_seed=5).weights_N
    assert dealt.tolist() != damped.tolist()
    np.testing.assert_allclose(np.sort(dealt[:4]), np.sort(damped[:4]))
    np.testing.assert_allclose(np.sort(dealt[4:]), np.sort(damped[4:]))


def test_a_strong_ratio_gate_meets_its_bound_and_no_overflow() -> None:
    spec = GateSpec(kernel="ratio", strength=1e6, granularity="token", normalization="none")
    assert simulated_gate(drift_of([[20.0, -20.0]]), spec=spec).weights_N.tolist() == [2.0, 0.5]


def test_what_was_kept_as_bytes_is_read_back() -> None:
    # Ten flags are two bytes: 1000 0000, 01 and padding.
    record = TokenDriftRecord(
        minibatch=1,
        num_responses_left_out=0,
        response_lengths=np.array([7, 3], dtype="<u4").tobytes(),
        drift_nats=np.arange(10, dtype="<f2").tobytes(),
        abs_losses=np.full(10, 0.5, dtype="<f2").tobytes(),
        newlines=bytes([0b1000_0000, 0b0100_0000]),
    )
    drift = token_drift_of(record)
    assert drift.lengths_R.tolist() == [7, 3]
    assert drift.drift_N.tolist() == list(range(10))
    assert drift.abs_losses_N.tolist() == [0.5] * 10
    assert np.flatnonzero(drift.newlines_N).tolist() == [0, 9]
