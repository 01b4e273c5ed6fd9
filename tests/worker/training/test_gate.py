"""The gate against golden numbers, numbers worked by hand, and the laws that it must obey."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from service.jobs.loss_spec import GateSpec
from tests.golden_numbers import golden_cases
from worker.training.gate import (
    MIN_MEAN_GATE,
    Gate,
    Units,
    drift_nats,
    gate_weights,
    unit_gates,
)
from worker.training.units import unit_of_each_token


def units_of(newlines_by_response: list[list[bool]], spec: GateSpec) -> Units:
    unit_ids: list[int] = []
    sequence_of_unit: list[int] = []
    for sequence, newlines in enumerate(newlines_by_response):
        own = unit_of_each_token(newlines, spec=spec)
        unit_ids += [len(sequence_of_unit) + unit for unit in own]
        sequence_of_unit += [sequence] * len(set(own))
    return Units(torch.tensor(unit_ids), torch.tensor(sequence_of_unit))


def gate_of(drifts_by_response: list[list[float]], spec: GateSpec, **options: int) -> Gate:
    units = units_of([[False] * len(drifts) for drifts in drifts_by_response], spec)
    drift_N = torch.tensor(list(itertools.chain(*drifts_by_response)), dtype=torch.float64)
    return gate_weights(drift_N, units, spec=spec, **options)


def golden_gate(case: dict, spec: GateSpec) -> Tensor:
    """[B, T] as in the file, 0 where masked."""
    valid_BT = torch.tensor(case["mask"], dtype=torch.bool)
    newlines = [
        [bool(newline) for newline, valid in zip(row, mask, strict=True) if valid]
        for row, mask in zip(case["newline"], case["mask"], strict=True)
    ]
    cur_BT = torch.tensor(case["log_prob_cur"], dtype=torch.float64)
    old_BT = torch.tensor(case["log_prob_old"], dtype=torch.float64)
    drift_N = drift_nats(cur_BT[valid_BT], old_BT[valid_BT])
    gate = gate_weights(drift_N, units_of(newlines, spec), spec=spec)
    return torch.zeros_like(cur_BT).masked_scatter(valid_BT, gate.weights_N)


@pytest.mark.golden
@pytest.mark.parametrize("case", golden_cases("gates"), ids=lambda case: case["name"])
def test_gate_equals_the_golden_one_to_1e_10(case: dict) -> None:
    gate_BT = golden_gate(case, GateSpec.model_validate(case["spec"]))
    expected_BT = torch.tensor(case["gate"], dtype=torch.float64)
    torch.testing.assert_close(gate_BT, expected_BT, rtol=1e-10, atol=1e-10)


def test_two_blocks_worked_by_hand() -> None:
    # s = (.2, 0), g = (e^-.2, 1) = (.8187, 1), mean .9094, g~ = (.9003, 1.0997).
    gate = gate_of([[0.2, 0.2, 0.0, 0.0]], GateSpec(block_size=2))
    expected = torch.tensor([0.9003, 0.9003, 1.0997, 1.0997], dtype=torch.float64)
    torch.testing.assert_close(gate.weights_N, expected, rtol=0, atol=5e-5)


def test_opposite_drifts_cancel_in_the_signed_mean_but_not_in_the_mean_of_sizes() -> None:
    drift_U = torch.tensor([0.0, 0.3])  # the signed mean and the mean size of (+.3, −.3)
    signed, size = unit_gates(drift_U, spec=GateSpec(), strength=1.0).tolist()
    assert signed == 1.0
    assert size == pytest.approx(0.740818)  # e^-.3


def test_adaptive_strength_damps_the_median_unit_by_its_constant() -> None:
    # |s| = .1, .2, .4, .8: the median is the mean of the middle two, .3, so τ = .6 / .3 = 2.
    spec = GateSpec(block_size=1, strength={"adaptive": 0.6}, normalization="none")
    gate = gate_of([[0.1, -0.2, 0.4, -0.8]], spec)
    assert gate.strength == pytest.approx(2.0)
    expected = torch.tensor([-0.2, -0.4, -0.8, -1.6], dtype=torch.float64).exp()
    torch.testing.assert_close(gate.weights_N, expected)


def test_a_hard_gate_that_closes_everything_is_zero_and_counted() -> None:
    spec = GateSpec(kernel="hard", threshold=0.05, normalization="sequence", block_size=2)
    gate = gate_of([[0.3, 0.3], [0.0, 0.0]], spec)
    assert gate.weights_N.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert gate.num_scopes_closed == 1


def test_emphasis_is_bounded_so_that_a_runaway_unit_cannot_overflow() -> None:
    spec = GateSpec(direction="emphasise", strength=1e6, block_size=1, normalization="none")
    gate = gate_of([[1.0, 0.0]], spec)
    torch.testing.assert_close(gate.weights_N.log(), torch.tensor([20.0, 0.0]).double())


def test_a_shuffled_gate_is_the_same_gates_dealt_to_other_units() -> None:
    drifts = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]
    damped = gate_of(drifts, GateSpec(block_size=1, normalization="none")).weights_N
    spec = GateSpec(block_size=1, normalization="none", direction="shuffled")
    first, second = gate_of(drifts, spec, shuffle_seed=1), gate_of(drifts, spec, shuffle_seed=2)
    assert first.weights_N.tolist() != damped.tolist()
    assert first.weights_N.tolist() != second.weights_N.tolist()
    assert sorted(first.weights_N.tolist()) == sorted(damped.tolist())


def test_shuffling_under_sequence_normalisation_stays_within_each_response() -> None:
    drifts = [[0.1, 0.2, 0.3, 0.4], [1.5, 1.6, 1.7, 1.8]]
    spec = GateSpec(block_size=1, normalization="sequence", direction="shuffled")
    damped = gate_of(drifts, spec.model_copy(update={"direction": "damp"})).weights_N
    dealt = gate_of(drifts, spec, shuffle_seed=5).weights_N
    assert dealt.tolist() != damped.tolist()
    torch.testing.assert_close(dealt[:4].sort().values, damped[:4].sort().values)
    torch.testing.assert_close(dealt[4:].sort().values, damped[4:].sort().values)


drift_values = st.floats(min_value=-3, max_value=3, allow_nan=False)
responses = st.lists(st.lists(drift_values, min_size=1, max_size=20), min_size=1, max_size=5)
soft_specs = st.builds(
    GateSpec,
    granularity=st.sampled_from(["block", "newline_span", "token", "sequence", "none"]),
    block_size=st.integers(1, 8),
    aggregation=st.sampled_from(["signed_mean", "mean_abs", "rms", "k3"]),
    kernel=st.sampled_from(["exp", "reciprocal"]),
    strength=st.floats(0, 5),
    normalization=st.sampled_from(["minibatch", "sequence"]),
    direction=st.sampled_from(["damp", "emphasise", "shuffled"]),
)


@given(responses, soft_specs)
def test_the_token_weighted_mean_is_one_in_every_scope(
    drifts: list[list[float]], spec: GateSpec
) -> None:
    # The k3 of 3 nats is 16: at strength 2 its gate is e^-32, and a scope of nothing else closes.
    gate = gate_of(drifts, spec)
    scopes = {"minibatch": [sum(map(len, drifts))], "sequence": list(map(len, drifts))}
    means = [scope.mean().item() for scope in gate.weights_N.split(scopes[spec.normalization])]
    open_means = [mean for mean in means if mean != 0]
    assert open_means == pytest.approx([1.0] * len(open_means), rel=1e-9)
    assert len(means) - len(open_means) == gate.num_scopes_closed
    unnormalised = gate_of(drifts, spec.model_copy(update={"normalization": "none"})).weights_N
    may_close = unnormalised.min().item() < MIN_MEAN_GATE
    assert may_close or not gate.num_scopes_closed


@given(responses, soft_specs)
def test_without_drift_every_weight_is_exactly_one(
    drifts: list[list[float]], spec: GateSpec
) -> None:
    gate = gate_of([[0.0] * len(response) for response in drifts], spec)
    assert set(gate.weights_N.tolist()) == {1.0}


@given(responses, soft_specs)
def test_zero_strength_is_no_gate(drifts: list[list[float]], spec: GateSpec) -> None:
    gate = gate_of(drifts, spec.model_copy(update={"strength": 0.0}))
    assert set(gate.weights_N.tolist()) == {1.0}


@given(responses, soft_specs)
def test_a_block_that_holds_the_longest_response_is_the_sequence_gate(
    drifts: list[list[float]], spec: GateSpec
) -> None:
    block = spec.model_copy(update={"granularity": "block", "block_size": 20})
    sequence = spec.model_copy(update={"granularity": "sequence"})
    assert torch.equal(gate_of(drifts, block).weights_N, gate_of(drifts, sequence).weights_N)


@given(responses, soft_specs)
def test_blocks_of_one_token_are_the_token_gate(drifts: list[list[float]], spec: GateSpec) -> None:
    block = spec.model_copy(update={"granularity": "block", "block_size": 1})
    token = spec.model_copy(update={"granularity": "token"})
    assert torch.equal(gate_of(drifts, block).weights_N, gate_of(drifts, token).weights_N)


@given(responses, st.floats(0.1, 5))
def test_the_exponential_gate_is_the_smaller_of_the_block_ratio_and_its_inverse(
    drifts: list[list[float]], strength: float
) -> None:
    spec = GateSpec(granularity="sequence", strength=strength, normalization="none")
    gate = gate_of(drifts, spec)
    ratios = [torch.tensor(response, dtype=torch.float64).mean().exp() for response in drifts]
    expected = [min(ratio, 1 / ratio) ** strength for ratio in ratios for _ in [0]]
    firsts = [weights[0] for weights in gate.weights_N.split(list(map(len, drifts)))]
    torch.testing.assert_close(torch.stack(firsts), torch.stack(expected))


def test_no_gradient_flows_through_the_drift() -> None:
    cur_N = torch.tensor([-1.0, -2.0], requires_grad=True)
    assert not drift_nats(cur_N, torch.tensor([-1.5, -1.0])).requires_grad
