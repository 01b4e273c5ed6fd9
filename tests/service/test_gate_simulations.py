"""Another gate over what jobs kept: figures worked by hand, what is suggested, what is refused."""

import math

import pytest

from service.errors import DriftgateError, ErrorCode
from service.gate_simulations import COUNTERFACTUAL, simulate_gate
from service.jobs.parsing import parse_spec
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.worker_records import a_token_drift, an_update

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
    "steps": 5,
    "reuse": {"epochs": 2, "minibatches": 3},
    "gate": {"block_size": 2},
}


@pytest.fixture
def simulate(sqlite_url):
    """Puts the changed gate over the updates, of which there are six a step, of a job with this spec."""
    database = Database(sqlite_url)
    jobs, results = JobStore(database), ResultStore(database)

    def of_job(*updates, spec=SPEC, **changes):
        job = jobs.create(parse_spec(spec), warnings=(), queue="default")
        lease = jobs.claim(queue="default", owner="worker", lease_s=60).lease
        results.append_updates(lease, updates)
        return simulate_gate(jobs.get(job.id), changes, result_store=results)

    yield of_job
    database.close()


def kept(update, *drifts, **options):
    return an_update(update, token_drift=a_token_drift(drifts, **options))


# At the first update nothing has drifted; blocks of two of the second have s = (.25, 0).
UPDATES = (
    kept(1, [0.0] * 4),
    kept(2, [0.25, 0.25, 0.0, 0.0], abs_losses=[3.0, 0.0, 1.0, 0.0]),
)


def test_the_jobs_own_gate_over_its_updates_worked_by_hand(simulate):
    # τ = 1: g = (e^-.25, 1) = (.7788, 1), mean .8894, w = (.8756, 1.1244), each 0.1244 from 1.
    found = simulate(*UPDATES)

    first, second = found.updates
    assert (first.gate_std, first.gate_min, first.gate_max, first.inert) == (0.0, 1.0, 1.0, True)
    assert (first.effective_sample_size, first.share_of_loss_moved) == (1.0, 0.0)
    assert second.gate_std == pytest.approx(0.12435, abs=1e-5)
    assert (second.gate_min, second.gate_max) == pytest.approx((0.87565, 1.12435), abs=1e-5)
    assert second.effective_sample_size == pytest.approx(1 / (1 + 0.12435**2), abs=1e-5)
    assert second.share_of_loss_moved == pytest.approx(0.12435, abs=1e-5)
    assert (second.inert, second.num_units, second.num_tokens) == (False, 2, 4)
    assert (second.update, second.step, second.reuse_depth, second.strength) == (2, 1, 2, 1.0)
    assert second.mean_abs_drift_nats == 0.125
    # Over both updates: four of eight tokens are .1244 from 1, and half of all the loss is theirs.
    assert found.overall.gate_std == pytest.approx(0.12435 / math.sqrt(2), abs=1e-5)
    assert found.overall.share_of_loss_moved == pytest.approx(0.12435 / 2, abs=1e-5)
    assert [(one.reuse_depth, one.num_updates, one.inert) for one in found.by_reuse_depth] == [
        (1, 1, True),
        (2, 1, False),
    ]
    assert found.gate.block_size == 2
    assert found.notes[0] == COUNTERFACTUAL


def test_what_is_changed_is_changed_and_the_rest_is_the_jobs_own(simulate):
    found = simulate(*UPDATES, granularity="sequence", normalization="none", strength=2)

    assert (found.gate.granularity, found.gate.block_size, found.gate.kernel) == (
        "sequence",
        2,
        "exp",
    )
    # One unit of mean .125: g = e^-.25.
    assert found.updates[1].gate_max == pytest.approx(math.exp(-0.25))


def test_a_weak_gate_is_said_to_be_inert_below_one_per_cent_of_the_loss(simulate):
    # At τ = .05 the weights are .0062 from 1, at τ = .1 .0125.
    weak, stronger = (simulate(*UPDATES, strength=strength) for strength in (0.05, 0.1))
    assert (weak.inert_below, weak.by_reuse_depth[1].inert) == (0.01, True)
    assert not stronger.by_reuse_depth[1].inert


def test_the_suggested_strength_damps_the_median_unit_of_the_later_updates(simulate):
    # |s| = (.25, .5, 1) after the first update of a step, and the 2 of update 7, a first one, does not count.
    updates = (kept(2, [-0.25, -0.25], [0.5, 0.5]), kept(3, [1.0]), kept(7, [2.0]))

    suggested = simulate(*updates).suggested_strength
    reciprocal = simulate(*updates, kernel="reciprocal").suggested_strength

    assert (suggested.strength, suggested.adaptive) == (1.0, 0.5)
    assert (suggested.median_drift_nats, suggested.num_units) == (0.5, 3)
    assert suggested.median_unit_gate == pytest.approx(math.exp(-0.5))
    assert reciprocal.median_unit_gate == pytest.approx(1 / 1.5)


@pytest.mark.parametrize(
    ("updates", "changes", "reason"),
    [
        (UPDATES, {"kernel": "hard"}, "hard gate has no strength"),
        (UPDATES, {"granularity": "none"}, "no gate"),
        (UPDATES[:1], {}, "No update after the first"),
        ((kept(2, [0.0] * 8),), {}, "median unit drifted by less than 1e-06"),
    ],
)
def test_no_strength_is_suggested_where_there_is_none_to_and_it_is_said(
    simulate, updates, changes, reason
):
    found = simulate(*updates, **changes)
    assert found.suggested_strength is None
    assert reason in " ".join(found.notes)


def test_what_was_left_out_and_another_deal_of_a_shuffled_gate_are_said(simulate):
    found = simulate(kept(2, [0.5], num_responses_left_out=3), direction="shuffled")
    assert found.updates[0].num_responses_left_out == 3
    notes = " ".join(found.notes)
    assert "3 of 4 responses were too many tokens to keep" in notes
    assert "another generator" in notes


def test_a_hard_gate_may_be_tried_on_a_job_with_an_adaptive_one(simulate):
    spec = SPEC | {"gate": {"strength": {"adaptive": 0.5}}}
    found = simulate(*UPDATES, spec=spec, kernel="hard", threshold=0.1, block_size=2)
    assert found.updates[1].gate_min == 0.0
    assert found.updates[1].gate_max == 2.0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"block_size": 0}, "block_size"),
        ({"strength": {"adaptive": 50}}, "strength.adaptive"),
        ({"min_span": 9, "max_span": 8}, "min_span"),
        ({"tau": 2}, "tau"),
        ({"strength": float("nan")}, "strength"),
    ],
)
def test_a_gate_that_is_none_is_refused_by_its_field(simulate, changes, field):
    with pytest.raises(DriftgateError) as caught:
        simulate(*UPDATES, **changes)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert field in {violation.field for violation in caught.value.violations}


TOP_K_WITHOUT_GATE = {"objective": {"type": "teacher_topk"}, "gate": {"granularity": "none"}}
EVALUATION = {
    "kind": "evaluation",
    "model": {"model": "builtin/arithmetic-student"},
    "evaluation": {
        "benchmarks": [{"name": "sums", "problems": {"source": "arithmetic", "num_problems": 9}}]
    },
}


@pytest.mark.parametrize(
    ("spec", "updates", "reason"),
    [
        (EVALUATION, (), "of kind evaluation"),
        (SPEC | {"diagnostics": {"token_drift_updates": 0}}, (1,), "token_drift_updates is 0"),
        (
            SPEC | {"diagnostics": {"token_drift_updates": 5}},
            (1,),
            "a step has 6 updates and only whole steps are kept",
        ),
        (SPEC | {"diagnostics": {"token_drift_updates": 6}}, (1, 12), "is 3, and it has not begun"),
        (SPEC | TOP_K_WITHOUT_GATE, (1, 2), "looked at on some tokens only"),
        (SPEC, (1, 2), "trained before drift was kept"),
    ],
)
def test_a_job_that_kept_nothing_is_refused_with_the_reason(simulate, spec, updates, reason):
    with pytest.raises(DriftgateError) as caught:
        simulate(*map(an_update, updates), spec=spec)
    assert caught.value.code is ErrorCode.NO_TOKEN_DRIFT
    assert reason in caught.value.message
