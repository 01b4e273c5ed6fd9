import json

import pytest

from service.demo.figures import SEED_NOTE, FinishedJob, demo_figures
from service.demo.jobs import demo_specs
from tests.service.demo.answers import (
    BEFORE,
    GATED,
    METRICS,
    evaluation,
    finished_demo,
    job,
    metrics,
    results,
)

FIGURES = demo_figures(finished_demo(), seed=7)


def values(estimate):
    return [estimate.estimate, estimate.low, estimate.high]


def assert_between(estimate, lowest, middle, highest):
    """The interval holds the middle and lies inside the other two."""
    assert estimate.estimate == pytest.approx(middle)
    assert lowest < estimate.low <= estimate.estimate <= estimate.high < highest


def test_a_job_carries_its_estimates_and_the_paired_difference_of_its_problems():
    gated = FIGURES.jobs[1]
    assert gated.name == "sampled token, block gate"
    assert (gated.objective, gated.gate, gated.seconds) == ("sampled_token", "block", 61.5)
    # Taken over from the API as they are.
    assert values(gated.pass_at_8.before) == pytest.approx([0.8, 0.0, 1.0])
    # p: 0/8 → 4/8, q: 4/8 → 8/8: both gain a half; pass@8: p 0 → 1, q 1 → 1.
    assert_between(gated.pass_at_1.difference, 0.3, 0.5, 0.6)
    assert_between(gated.pass_at_8.difference, 0.2, 0.5, 0.8)


def test_a_pair_is_gated_minus_ungated_of_one_objective_with_the_limits_of_one_seed_stated():
    assert [pair.objective for pair in FIGURES.pairs] == ["sampled_token", "teacher_topk"]
    pair = FIGURES.pairs[0]
    assert (pair.gated, pair.ungated) == ("sampled token, block gate", "sampled token")
    # p: 4/8 − 2/8, q: 8/8 − 4/8.
    assert_between(pair.pass_at_1, 0.2, 0.375, 0.55)
    assert_between(pair.pass_at_8, -0.2, 0.0, 0.2)
    assert pair.note == SEED_NOTE == "training-seed variance not included"


def test_problems_are_paired_by_their_ids_and_not_by_their_order():
    swapped = FinishedJob(
        job=job(demo_specs(7)[0]),
        results=results(
            evaluation("baseline", BEFORE), evaluation("final", dict(reversed(GATED.items())))
        ),
        metrics=METRICS,
    )
    (figures,) = demo_figures([swapped], seed=7).jobs
    assert_between(figures.pass_at_1.difference, 0.3, 0.5, 0.6)


def test_evaluations_on_different_problems_are_not_paired():
    other = FinishedJob(
        job=job(demo_specs(7)[0]),
        results=results(
            evaluation("baseline", BEFORE), evaluation("final", GATED, problems_sha256="other")
        ),
        metrics=METRICS,
    )
    with pytest.raises(ValueError, match="different problems"):
        demo_figures([other], seed=7)


def test_gate_drift_tokens_and_seconds_are_taken_over_the_updates_where_they_were_recorded():
    figures = FIGURES.jobs[0]
    assert figures.gate_dispersion.model_dump() == pytest.approx(
        {"mean_std": 0.1, "max_std": 0.2, "min": 0.5, "max": 1.5}
    )
    assert (figures.drift.mean, figures.drift.mean_abs) == (0.0625, 0.5)
    phases = figures.phases
    assert (phases.rollout.tokens, phases.rollout.seconds) == (300, 3.0)
    assert (phases.scoring.tokens, phases.scoring.seconds) == (300, 0.75)
    assert (phases.updates.tokens, phases.updates.seconds) == (600, 2.0)
    # Two evaluations of 1,000 tokens and 2.5 s.
    assert (phases.evaluation.tokens, phases.evaluation.seconds) == (2000, 5.0)


def test_metrics_that_were_never_recorded_have_no_figure():
    bare = FinishedJob(
        job=job(demo_specs(7)[0]),
        results=results(evaluation("baseline", BEFORE), evaluation("final", GATED)),
        metrics=metrics(train__loss=(0.5,)),
    )
    (figures,) = demo_figures([bare], seed=7).jobs
    assert figures.gate_dispersion.mean_std is None
    assert figures.drift.mean_abs is None
    assert figures.phases.rollout.tokens == 0


def test_the_json_has_the_shape_that_the_demo_promises():
    written = json.loads(FIGURES.model_dump_json())
    assert written["seed"] == 7
    assert [(one["objective"], one["gate"]) for one in written["jobs"]] == [
        ("sampled_token", "none"),
        ("sampled_token", "block"),
        ("teacher_topk", "none"),
        ("teacher_topk", "block"),
    ]
    for one in written["jobs"]:
        assert {"name", "objective", "gate", "seconds", "pass_at_1", "pass_at_8"} <= one.keys()
        for k in ("pass_at_1", "pass_at_8"):
            assert one[k].keys() == {"before", "after", "difference"}
            assert all(value.keys() == {"estimate", "low", "high"} for value in one[k].values())
    assert len(written["pairs"]) == 2
