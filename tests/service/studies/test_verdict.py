from datetime import UTC, datetime

import pytest

from service.errors import DriftgateError
from service.statistics.counts import Counts
from service.storage.study_rows import RunRow, progress_of, study_view
from service.storage.study_scores import Conditions, RunScores, ScoredBenchmark
from service.storage.tables import StudyRow
from service.studies.verdict import make_verdict
from tests.service.studies.played_runs import BASE, study_spec

NOW = datetime(2026, 11, 26, tzinfo=UTC)
SIX_SEEDS = (1, 2, 3, 4, 5, 6)
CONDITIONS = Conditions("problems", "sampling", "a grader")


def benchmark(right, conditions=CONDITIONS):
    return ScoredBenchmark(Counts(n=(8,) * len(right), c=tuple(right)), conditions)


def verdict_of(right_of, *, state="completed", without=(), reverse_kl=None, **changes):
    """right_of(arm, seed): of eight samples, how many are right of each problem. without: runs that wait."""
    spec = study_spec(**changes)
    runs, scores = [], {}
    for seed in spec.seeds:
        for arm in spec.arms:
            waits = (arm.name, seed) in without
            job_id = None if waits else f"{arm.name} {seed}"
            outcome = None if waits else "succeeded"
            runs.append(
                RunRow(
                    arm.name,
                    seed,
                    5,
                    job_id,
                    outcome,
                    None,
                    None if waits else False,
                    outcome,
                    5,
                    None,
                )
            )
            scores[job_id] = RunScores(
                before={"arithmetic": benchmark((2, 2))},
                after={"arithmetic": benchmark(right_of(arm.name, seed))},
                reverse_kl=reverse_kl,
            )
    row = StudyRow(
        id="0" * 32,
        name=spec.name,
        state=state,
        spec=spec.model_dump(mode="json"),
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    return make_verdict(study_view(row, runs), runs, scores)


def three_eighths_above(arm, seed):
    """A seed moves the arms apart by one of eight, in opposite directions."""
    bias = {"ungated": 0, "block": 3, "shuffled-gate": 0}[arm]
    return [right + bias + (seed + (arm == "block")) % 2 for right in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def judged():
    contrast = {"arm": "block", "metric": "pass@1"}
    return verdict_of(
        three_eighths_above, seeds=SIX_SEEDS, contrast=contrast, smallest_difference=0.05
    )


def test_arms_are_their_means_over_seeds_with_every_seed_shown(judged):
    by_arm = {arm.arm: arm for arm in judged.arms}
    ungated = by_arm["ungated"].metrics["pass@1"]
    # (1 + 2 + 3 + 4) / 4 / 8 = 0.3125, and 1/8 more in the odd seeds.
    assert ungated.seeds == SIX_SEEDS
    assert ungated.values == pytest.approx([0.4375, 0.3125] * 3)
    assert ungated.mean == pytest.approx(0.375)
    assert ungated.low < 0.375 < ungated.high
    assert (by_arm["ungated"].collapse_rate, by_arm["ungated"].num_ended) == (0.0, 6)
    assert ungated.parts.sampling_sd > 0


def test_the_registered_contrast_stands_apart_and_needs_no_adjustment(judged):
    contrast = judged.contrast
    assert (contrast.arm, contrast.minus, contrast.metric) == ("block", "ungated", "pass@1")
    assert contrast.pre_registered
    assert contrast.adjusted_p_value is None
    # 3/8 ± 1/8 in turns: all six differences are above zero.
    assert contrast.estimate == pytest.approx(0.375)
    assert contrast.p_value == 2 / 64
    assert contrast.is_found
    assert contrast.can_resolve
    assert contrast.seeds_needed > 6
    assert contrast.reading.startswith("block − ungated, pass@1: +0.375 [")
    assert contrast.reading.endswith("p = 0.0312. block is higher.")


def test_all_other_differences_are_exploratory_and_adjusted_together(judged):
    told = {(one.arm, one.metric): one for one in judged.exploratory}
    assert set(told) == {
        ("shuffled-gate", "pass@1"),
        ("block", "pass@8"),
        ("shuffled-gate", "pass@8"),
    }
    assert not any(one.pre_registered or one.is_found for one in told.values())
    # 2 of 64, times three that were looked at.
    assert min(one.adjusted_p_value for one in told.values()) >= 3 / 32
    reading = told["shuffled-gate", "pass@1"].reading
    assert reading.startswith("Exploratory: shuffled-gate − ungated, pass@1")


def test_six_seeds_can_find_none_of_three_exploratory_differences_and_say_so(judged):
    # 3 / 32 is above .05; 3 / 64 is not.
    assert len(judged.exploratory) == 3
    for one in judged.exploratory:
        assert one.smallest_p_value == 1 / 32
        assert not one.can_resolve
        assert one.smallest_detectable_difference is None
        assert one.reading.endswith(
            "So few seeds cannot resolve anything at 5 % among 3 comparisons (p is at least 0.0938 after Holm): at "
            "least 7 paired seeds."
        )
    assert judged.contrast.can_resolve
    # Φ(x)^6 = .8 at x = 1.79, as of a contrast without anything beside it.
    spread = max(judged.contrast.sd, judged.contrast.parts.sampling_sd)
    assert judged.contrast.smallest_detectable_difference / spread == pytest.approx(1.79, abs=0.06)
    assert min(one.seeds_needed for one in judged.exploratory) >= 7


def test_seven_seeds_find_one_of_three_exploratory_differences_at_a_third_of_the_level():
    contrast = {"arm": "shuffled-gate", "metric": "pass@1"}
    verdict = verdict_of(three_eighths_above, seeds=range(7), contrast=contrast)
    told = {(one.arm, one.metric): one for one in verdict.exploratory}
    assert len(told) == 3
    assert all(one.can_resolve for one in told.values())
    block = told["block", "pass@1"]
    # All seven differences above zero: 1 / 64, three times.
    assert (block.p_value, block.adjusted_p_value) == (1 / 64, 3 / 64)
    assert block.is_found
    # Φ(x)^7 = .8 at x = 1.86 standard deviations; the contrast at .05 takes 1.31.
    assert block.smallest_detectable_difference / block.sd == pytest.approx(1.86, abs=0.06)


def test_a_single_exploratory_difference_is_judged_as_the_contrast_is():
    base = BASE | {"evaluation": BASE["evaluation"] | {"k": [1], "reverse_kl_problems": 0}}
    contrast = {"arm": "shuffled-gate", "metric": "pass@1"}
    verdict = verdict_of(three_eighths_above, seeds=SIX_SEEDS, base=base, contrast=contrast)
    (block,) = verdict.exploratory
    assert block.can_resolve
    assert block.is_found
    assert block.adjusted_p_value == block.p_value == 1 / 32


def test_a_difference_of_few_seeds_may_be_found_once_another_of_more_seeds_is():
    base = BASE | {"evaluation": BASE["evaluation"] | {"k": [1], "reverse_kl_problems": 0}}
    arms = [
        {"name": "ungated"},
        *({"name": name, "changes": {"steps": 9 + len(name)}} for name in ("a", "bb", "ccc")),
    ]
    waiting = {("bb", 7), ("bb", 8)}
    verdict = verdict_of(
        lambda arm, seed: [1 + 2 * (arm != "ungated") + seed % 2] * 4,
        seeds=range(1, 9),
        base=base,
        arms=arms,
        contrast={"arm": "a", "metric": "pass@1"},
        without=waiting,
    )
    told = {one.arm: one for one in verdict.exploratory}
    # ccc has eight pairs, 2 / 128 after Holm; bb has six, whose 1 / 32 the second step leaves as it is.
    assert told["ccc"].adjusted_p_value == 2 / 128
    assert (told["bb"].num_pairs, told["bb"].adjusted_p_value) == (6, 1 / 32)
    assert told["bb"].is_found
    assert told["bb"].can_resolve
    assert told["bb"].reading.endswith("bb is higher.")


def test_a_verdict_of_three_seeds_says_that_it_can_resolve_nothing():
    verdict = verdict_of(lambda arm, _seed: (8, 8) if arm == "block" else (3, 3))
    assert verdict.contrast.p_value == verdict.contrast.smallest_p_value == 0.25
    assert not verdict.contrast.is_found
    assert "at least 6 paired seeds" in verdict.contrast.reading
    assert any("3 seeds cannot resolve anything at 5 %" in note for note in verdict.notes)


def test_runs_that_agree_by_chance_have_no_interval_narrower_than_their_samples_allow():
    contrast = verdict_of(lambda _arm, _seed: (3, 3)).contrast
    assert (contrast.estimate, contrast.sd) == (0.0, 0.0)
    # 16 samples of about 3/8 in each run: 4.30 · √2 · 0.12 / √3 or so.
    assert 0.2 < contrast.high < 0.6
    assert contrast.low == -contrast.high


def test_a_study_that_goes_on_has_a_verdict_of_the_seeds_that_both_arms_have():
    waiting = {("block", 2), ("block", 3), ("ungated", 3)}
    verdict = verdict_of(lambda _arm, _seed: (3, 3), state="running", without=waiting)
    assert not verdict.is_final
    assert (verdict.contrast.num_pairs, verdict.contrast.low) == (1, None)
    assert "3 of 9 runs have not ended: all figures may still change." in verdict.notes
    nothing = {("block", seed) for seed in (1, 2, 3)}
    assert verdict_of(lambda _arm, _seed: (3, 3), without=nothing).contrast is None


def test_arms_that_share_no_seed_are_compared_run_by_run():
    waiting = {("block", 1), ("block", 2), ("ungated", 3)}
    contrast = verdict_of(
        lambda arm, seed: (4, 4) if arm == "block" else (seed, seed), without=waiting
    ).contrast
    # 4/8 against 1/8 and 2/8: one of three splits.
    assert contrast.num_pairs == 0
    assert contrast.estimate == pytest.approx(0.3125)
    assert contrast.p_value == contrast.smallest_p_value == pytest.approx(1 / 3)
    assert contrast.parts is None
    assert "over seeds of which they share none, p = 0.333" in contrast.reading


def test_the_distance_to_the_teacher_is_a_metric_where_it_is_recorded():
    with_it = verdict_of(lambda _arm, _seed: (3, 3), reverse_kl=0.25)
    assert with_it.arms[0].metrics["reverse_kl"].mean == 0.25
    assert with_it.arms[0].metrics["reverse_kl"].parts is None
    assert {one.metric for one in with_it.exploratory} == {"pass@1", "pass@8", "reverse_kl"}
    assert not any("left out of reverse_kl" in note for note in with_it.notes)
    without_it = verdict_of(lambda _arm, _seed: (3, 3), reverse_kl=None)
    assert "reverse_kl" not in without_it.arms[0].metrics
    assert any(
        note.startswith("9 runs are left out of reverse_kl alone") for note in without_it.notes
    )


def test_a_study_that_measures_no_distance_compares_none_and_says_nothing_of_it():
    base = BASE | {"evaluation": BASE["evaluation"] | {"reverse_kl_problems": 0}}
    verdict = verdict_of(lambda _arm, _seed: (3, 3), base=base)
    assert {one.metric for one in verdict.exploratory} == {"pass@1", "pass@8"}
    assert not any("reverse_kl" in note for note in verdict.notes)
    with pytest.raises(DriftgateError, match="one of what is measured: pass@1, pass@8"):
        study_spec(base=base, contrast={"arm": "block", "metric": "reverse_kl"})


def test_a_study_of_rows_counts_its_runs_by_their_state():
    runs = [
        RunRow("a", 1, 5, None, None, None, None, None, None, None),
        RunRow("a", 2, 5, "x", None, None, None, "running", 3, None),
        RunRow("a", 3, 5, "y", "succeeded", None, False, None, None, None),
    ]
    progress = progress_of(runs)
    assert (progress.num_pending, progress.num_active, progress.num_deleted) == (1, 1, 1)
    assert (progress.step, progress.total_steps) == (3, 15)
