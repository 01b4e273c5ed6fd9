import pytest

from service.errors import ErrorCode
from service.statistics.counts import Counts
from service.storage.study_rows import RunRow
from service.storage.study_scores import Conditions, RunScores, ScoredBenchmark
from service.studies.collapse import collapsed_arm, has_collapsed
from tests.service.studies.played_runs import study_spec

CONDITIONS = Conditions("problems", "sampling", "a grader")


def run(state="succeeded", failure=None, *, arm="block", collapsed=None):
    return RunRow(arm, 1, 5, "a job", state, failure, collapsed, state, 5, None)


def scores(before, after, *, num_problems):
    """Right samples of eight, alike for every problem."""

    def stage(right):
        counts = Counts(n=(8,) * num_problems, c=(right,) * num_problems)
        return {"arithmetic": ScoredBenchmark(counts, CONDITIONS)}

    return RunScores(before=stage(before), after=stage(after))


@pytest.mark.parametrize(
    ("before", "after", "num_problems", "expected"),
    [
        (4, 1, 10, True),
        (4, 2, 10, False),  # exactly half
        (4, 5, 10, False),
        # 1 of 8 and none: far below half, and what one problem's samples do by themselves.
        (1, 0, 1, False),
        (1, 0, 10, True),
        (0, 0, 10, None),
    ],
)
def test_a_run_has_collapsed_below_half_of_what_it_was_by_more_than_its_samples_explain(
    before, after, num_problems, expected
):
    found = has_collapsed(run(), scores(before, after, num_problems=num_problems), below=0.5)
    assert found is expected


def test_a_loss_that_is_not_finite_is_a_collapse_whatever_was_scored():
    assert has_collapsed(run("failed", ErrorCode.NON_FINITE_LOSS), RunScores(), below=0.5) is True
    assert has_collapsed(run("failed", ErrorCode.OUT_OF_MEMORY), RunScores(), below=0.5) is None
    assert has_collapsed(run("cancelled"), scores(4, 0, num_problems=9), below=0.5) is None


def test_an_arm_has_collapsed_with_more_than_half_of_all_its_seeds():
    spec = study_spec(seeds=[1, 2, 3, 4])
    two = [run(collapsed=True), run(collapsed=True), run(collapsed=False)]
    assert collapsed_arm(spec, two) is None
    assert collapsed_arm(spec, [*two, run(collapsed=True)]) == "block"
