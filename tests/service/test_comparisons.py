from dataclasses import replace

import pytest

from service.comparisons import compare, plan_more_samples
from service.jobs.parsing import parse_spec
from service.statistics.counts import Counts
from service.storage.evaluation_counts import CountedEvaluation
from tests.service.demo.answers import job

BASE = {
    "student": {"model": "s"},
    "teacher": {"model": "t"},
    "prompts": {"problems": {"source": "arithmetic"}},
}
# 40 problems; the better job answers half of them always, the others as the worse one does.
WORSE = {f"p{i}": i % 5 for i in range(40)}
BETTER = {f"p{i}": 8 if i < 20 else i % 5 for i in range(40)}


def job_of(job_id, **fields):
    return job(parse_spec(BASE | {"name": job_id} | fields), id=job_id)


def evaluation(stage, right_by_problem):
    """`right_by_problem`: problem id → how many of the 8 samples are right."""
    return CountedEvaluation(
        stage=stage,
        benchmark="arithmetic",
        problems_sha256="same",
        sampling_sha256="",
        grader="",
        samples_per_problem=8,
        mean_response_tokens=50.0,
        counts=Counts(n=(8,) * len(right_by_problem), c=tuple(right_by_problem.values())),
    )


def compared(*right_by_problem, k=1, stage=None, stages=None, **fields):
    """Jobs a, b, … with these final evaluations."""
    names = "abcdef"[: len(right_by_problem)]
    return compare(
        [job_of(name, seed=index) for index, name in enumerate(names)],
        [
            [evaluation("final", right, **fields.get(name, {}))]
            for name, right in zip(names, right_by_problem, strict=True)
        ],
        k=k,
        stage=stage,
    )


def test_a_better_job_is_told_from_the_reference_with_wins_intervals_and_p_value():
    comparison = compared(WORSE, BETTER)
    (pair,) = comparison.pairs
    assert (pair.job_id, pair.comparable, pair.reasons) == ("b", True, ())
    figures = pair.benchmarks["arithmetic"]
    # 20 problems go from 0, 1, 2, 3, 4 of 8 in turn to 8 of 8: 20 · (8 − 2) / 8 / 40.
    assert figures.difference.estimate == pytest.approx(0.375)
    assert figures.difference.low > 0
    assert figures.difference.sampling_low > 0
    assert (figures.wins, figures.losses, figures.ties) == (20, 0, 20)
    assert figures.p_value < 0.01
    assert 0 < figures.smallest_resolvable_difference < 0.375
    assert pair.mean.difference.estimate == figures.difference.estimate
    assert [one.pass_at_k["arithmetic"].estimate for one in comparison.jobs] == pytest.approx(
        [0.25, 0.625]
    )


def test_p_values_are_adjusted_for_the_number_of_jobs():
    two = compared(WORSE, BETTER).pairs[0].mean
    assert two.adjusted_p_value == two.p_value
    four = [pair.mean for pair in compared(WORSE, BETTER, WORSE, WORSE).pairs]
    assert four[0].adjusted_p_value == pytest.approx(3 * four[0].p_value)
    assert [one.adjusted_p_value for one in four[1:]] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"problems_sha256": "other"}, "The problems differ on arithmetic (problems_sha256)."),
        ({"sampling_sha256": "other"}, "What was sampled from differ on arithmetic"),
        ({"grader": "other"}, "The graders differ on arithmetic (grader)."),
        ({"benchmark": "other"}, "No benchmark was evaluated for both at this stage."),
        ({"samples_per_problem": 4}, "A problem of arithmetic has 4 samples, but pass@8 needs 8."),
    ],
)
def test_what_was_asked_sampled_or_graded_otherwise_is_not_compared_and_says_why(changes, reason):
    same = evaluation("final", WORSE)
    other = replace(same, **changes)
    comparison = compare(
        [job_of("a"), job_of("b"), job_of("c")],
        [[same], [other], [same]],
        k=8,
        stage=None,
    )
    refused, paired = comparison.pairs
    assert (refused.comparable, refused.benchmarks, refused.mean) == (False, {}, None)
    assert refused.reasons[0].startswith(reason)
    assert paired.comparable, "the others are compared all the same"


def test_a_distilled_student_is_compared_with_a_model_that_was_only_evaluated():
    student = [evaluation("baseline", BETTER), evaluation("final", WORSE)]
    model = [evaluation("model", BETTER)]
    comparison = compare([job_of("a"), job_of("b")], [student, model], k=1, stage=None)
    assert [one.stage for one in comparison.jobs] == ["final", "model"]
    assert comparison.pairs[0].mean.difference.estimate == pytest.approx(0.375)
    at_baseline = compare([job_of("a"), job_of("b")], [student, model], k=1, stage="baseline")
    assert [one.stage for one in at_baseline.jobs] == ["baseline", None]
    assert not at_baseline.pairs[0].comparable


def test_specs_differ_in_the_fields_that_are_named():
    comparison = compare(
        [job_of("a"), job_of("b", gate={"block_size": 16}, objective={"type": "teacher_topk"})],
        [[evaluation("final", WORSE)]] * 2,
        k=1,
        stage=None,
    )
    differences = {one.field: one.values for one in comparison.spec_differences}
    assert differences["gate.block_size"] == (64, 16)
    assert differences["objective.type"] == ("sampled_token", "teacher_topk")
    assert differences["objective.k"] == (None, 32)
    assert "name" not in differences


def test_a_plan_of_samples_resolves_what_it_says_and_costs_more_for_less():
    evaluations = [evaluation("final", WORSE)]

    def plan(difference):
        return plan_more_samples(
            job_of("a"), evaluations, k=1, stage=None, difference=difference, power=0.8
        )

    coarse, fine = plan(0.05), plan(0.01)
    assert coarse.smallest_resolvable_difference <= 0.05
    assert fine.smallest_resolvable_difference <= 0.01
    assert fine.tokens > 10 * coarse.tokens
    (benchmark,) = fine.benchmarks
    # 40 problems, 50 tokens a response.
    assert benchmark.tokens == fine.tokens == 40 * 50 * benchmark.samples_per_problem
    assert fine.smallest_resolvable_difference_now == coarse.smallest_resolvable_difference_now > 0
    few = [replace(evaluation("final", WORSE), samples_per_problem=4)]
    of_few = plan_more_samples(job_of("a"), few, k=8, stage=None, difference=0.1, power=0.8)
    assert of_few.smallest_resolvable_difference_now is None
    assert (
        plan_more_samples(job_of("a"), evaluations, k=1, stage="teacher", difference=0.1, power=0.8)
        is None
    )
