from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import Caller, Scope
from service.jobs.job_queries import JobFilter
from service.jobs.state import JobState
from service.jobs.studies import StudyState
from service.jobs.study_jobs import arm_specs
from tests.service.studies.conftest import NON_FINITE
from tests.service.studies.played_runs import STUDY, study_spec

TWO_ARMS = STUDY["arms"][:2]


def states_of(study):
    return Counter(run.state for arm in study.arms for run in arm.runs)


def test_a_study_runs_every_arm_with_every_seed_once_and_completes(laboratory):
    study_id = laboratory.study(max_active_jobs=2, arms=TWO_ARMS)
    played = []
    study = laboratory.round(study_id)
    while True:
        assert study.progress.num_active <= 2
        one = laboratory.play()
        if one is None:
            break
        played.append(one)
        study = laboratory.round(study_id)

    assert sorted(played) == sorted(
        (arm, seed) for arm in ("ungated", "block") for seed in (1, 2, 3)
    )
    # Seed by seed, so that all arms are about as far at any time.
    assert {seed for _, seed in played[:2]} == {1}
    assert study.state is StudyState.COMPLETED
    assert study.finished_at is not None
    assert states_of(study) == {"succeeded": 6}
    events = laboratory.events(study_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert Counter(event.type for event in events) == {
        "state_changed": 2,
        "job_submitted": 6,
        "job_ended": 6,
    }


def test_the_jobs_are_ordinary_ones_with_labels_a_seed_and_what_the_arm_changes(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=9)
    laboratory.round(study_id)
    wanted = JobFilter(labels={"study/id": study_id, "study/arm": "shuffled-gate"})
    jobs = laboratory.jobs.list_jobs(limit=10, wanted=wanted).jobs
    assert {job.spec.seed for job in jobs} == {1, 2, 3}
    assert {job.spec.gate.direction for job in jobs} == {"shuffled"}
    assert {job.name for job in jobs} == {
        f"a study: shuffled-gate, seed {seed}" for seed in (1, 2, 3)
    }


def test_rounds_side_by_side_submit_each_run_once_and_never_too_many(laboratory):
    study_id = laboratory.study(max_active_jobs=4)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: laboratory.round(study_id), range(12)))
    study = laboratory.studies.get(study_id)
    assert (study.progress.num_active, study.progress.num_pending) == (4, 5)
    assert len(laboratory.jobs.list_jobs(limit=100).jobs) == 4


def test_a_round_that_ends_anywhere_is_gone_on_with_by_the_next(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=9)
    arms = arm_specs(study_spec())
    # The first submission of a round whose process then died.
    assert laboratory.studies.submit_next(study_id, arms) is not None
    laboratory.play()
    # Of two runs that had ended it had settled none: the next does, each once.
    (run,) = laboratory.studies.unsettled_runs(study_id)
    laboratory.studies.settle(study_id, run, collapsed=False)
    laboratory.studies.settle(study_id, run, collapsed=True)
    study = laboratory.round(study_id)
    assert states_of(study) == {"succeeded": 1, "queued": 8}
    assert sum(arm.num_collapsed for arm in study.arms) == 0
    assert [event.type for event in laboratory.events(study_id)].count("job_ended") == 1


def test_a_paused_study_submits_nothing_and_its_jobs_pause(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=2)
    laboratory.round(study_id)
    laboratory.studies.move(
        study_id, StudyState.PAUSED, leaving=(StudyState.RUNNING,), message="Paused."
    )
    study = laboratory.round(study_id)
    assert states_of(study) == {"paused": 2, "pending": 7}
    assert laboratory.play() is None


def test_a_cancelled_study_cancels_its_jobs_and_never_submits_the_rest(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=2)
    laboratory.round(study_id)
    laboratory.play()
    laboratory.studies.move(
        study_id, StudyState.CANCELLING, leaving=(StudyState.RUNNING,), message="Cancelled."
    )
    study = laboratory.round(study_id)
    assert study.state is StudyState.CANCELLED
    assert states_of(study) == {"succeeded": 1, "cancelled": 8}
    assert laboratory.play() is None


def test_a_cancelled_study_waits_for_a_job_that_a_worker_holds(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=1)
    laboratory.round(study_id)
    claim = laboratory.jobs.claim(queue="default", owner="a worker", lease_s=60)
    laboratory.jobs.start_running(claim.lease)
    laboratory.studies.move(
        study_id, StudyState.CANCELLING, leaving=(StudyState.RUNNING,), message="Cancelled."
    )
    assert laboratory.round(study_id).state is StudyState.CANCELLING
    laboratory.jobs.finish(
        claim.lease, state=JobState.CANCELLED, failure=None, message="Cancelled."
    )
    assert laboratory.round(study_id).state is StudyState.CANCELLED


def test_an_arm_that_collapses_in_most_seeds_stops_a_study_that_asked_for_it(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=9, stop_when_arm_collapses=True)
    laboratory.round(study_id)

    def scores(arm, _seed):
        # Before it was 2 of 8: below half of that the run has collapsed.
        return (0, 0, 1, 1) if arm == "block" else (3, 3, 3, 3)

    for _ in range(5):  # both seeds of the block arm are among them
        laboratory.play(scores)
    study = laboratory.round(study_id)
    assert study.state is StudyState.CANCELLED
    assert study.reason == "More than half of the seeds of arm block collapsed."
    assert {arm.name: arm.num_collapsed for arm in study.arms}["block"] == 2
    assert states_of(study) == {"succeeded": 5, "cancelled": 4}


def test_a_loss_that_is_not_finite_is_a_collapse_and_another_failure_is_none(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=9)
    laboratory.round(study_id)
    failed = {
        laboratory.play(failure=NON_FINITE),
        laboratory.play(failure=NON_FINITE.model_copy(update={"code": ErrorCode.OUT_OF_MEMORY})),
    }
    study = laboratory.round(study_id)
    runs = {(arm.name, run.seed): run for arm in study.arms for run in arm.runs}
    found = {(runs[one].failure_code, runs[one].collapsed) for one in failed}
    assert found == {("NON_FINITE_LOSS", True), ("OUT_OF_MEMORY", None)}
    # Nobody asked to stop.
    assert study.state is StudyState.RUNNING


def test_a_run_whose_job_was_deleted_is_not_submitted_again(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=9)
    laboratory.round(study_id)
    arm, seed = laboratory.play()
    wanted = JobFilter(states=(JobState.SUCCEEDED,))
    (job,) = laboratory.jobs.list_jobs(limit=2, wanted=wanted).jobs
    laboratory.jobs.delete(job.id)
    study = laboratory.round(study_id)
    assert study.state is StudyState.RUNNING
    assert states_of(study) == {"deleted": 1, "queued": 8}
    assert (arm, seed, "Its job was deleted.") in {
        (run.arm, run.seed, run.reason) for run in laboratory.verdict(study_id).left_out
    }


def test_the_key_of_a_study_limits_its_waiting_jobs(small_laboratory):
    laboratory = small_laboratory
    caller = Caller("a" * 32, Scope.WRITE, max_queued_jobs=1)
    study_id = laboratory.study(caller=caller, max_active_jobs=4)
    study = laboratory.round(study_id)
    assert (study.state, study.progress.num_active) == (StudyState.RUNNING, 1)
    laboratory.play()
    assert laboratory.round(study_id).progress.num_active == 1
    (job,) = laboratory.jobs.list_jobs(limit=2, wanted=JobFilter(states=(JobState.QUEUED,))).jobs
    assert job.spec.labels["study/id"] == study_id


def test_a_key_makes_one_study_and_refuses_another_spec(laboratory):
    first = laboratory.study(key="once")
    assert laboratory.study(key="once") == first
    with pytest.raises(DriftgateError) as caught:
        laboratory.study(key="once", seeds=[4, 5, 6])
    assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT
    assert laboratory.study(key="once", caller=Caller("b" * 32, Scope.WRITE)) != first
    assert laboratory.study() != laboratory.study()


def test_a_study_is_deleted_once_it_has_ended_and_its_jobs_stay(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=9)
    laboratory.round(study_id)
    with pytest.raises(DriftgateError) as caught:
        laboratory.studies.delete(study_id)
    assert caught.value.code is ErrorCode.STUDY_STATE_CONFLICT
    laboratory.studies.move(
        study_id, StudyState.CANCELLING, leaving=(StudyState.RUNNING,), message="Cancelled."
    )
    laboratory.round(study_id)
    laboratory.studies.delete(study_id)
    with pytest.raises(DriftgateError) as caught:
        laboratory.studies.get(study_id)
    assert caught.value.code is ErrorCode.STUDY_NOT_FOUND
    assert len(laboratory.jobs.list_jobs(limit=100).jobs) == 9


def test_a_list_of_studies_goes_on_where_its_page_ended(laboratory):
    made = [laboratory.study(name=f"study {number}") for number in range(5)]
    laboratory.round(made[0])
    first = laboratory.studies.list_studies(limit=3)
    second = laboratory.studies.list_studies(limit=3, token=first.next_page_token)
    assert [one.id for one in (*first.studies, *second.studies)] == made[::-1]
    assert second.next_page_token is None
    oldest = second.studies[-1]
    assert (oldest.progress.num_active, oldest.progress.num_pending) == (2, 7)
    assert (oldest.arms, oldest.num_seeds) == (("ungated", "block", "shuffled-gate"), 3)
    assert laboratory.studies.open_study_ids() == made


def test_scores_of_other_conditions_are_read_and_left_out_with_the_reason(laboratory):
    study_id = laboratory.study(max_active_jobs=9)
    laboratory.round(study_id)
    laboratory.play()
    other = laboratory.play(grader="another grader")
    laboratory.round(study_id)
    verdict = laboratory.verdict(study_id)
    assert [(run.arm, run.seed) for run in verdict.left_out] == [other]
    assert verdict.left_out[0].reason.startswith("Its problems, sampling or grader differ")
    assert any("An arm whose worst runs fail looks better" in note for note in verdict.notes)
    (scored,) = [arm for arm in verdict.arms if arm.metrics]
    # 3 of 8 samples of each problem.
    assert scored.metrics["pass@1"].values == (pytest.approx(0.375),)
