"""A study pauses and resumes with its jobs, whatever dies or comes in between."""

from collections import Counter

from service.jobs.state import JobState
from service.jobs.studies import Study, StudyState
from tests.service.studies.conftest import Laboratory


def states_of(study: Study) -> Counter[str]:
    return Counter(run.state for arm in study.arms for run in arm.runs)


def a_paused_study(laboratory: Laboratory) -> str:
    """One of its jobs was running, and one waited."""
    study_id = laboratory.study(max_active_jobs=2)
    laboratory.round(study_id)
    claim = laboratory.jobs.claim(queue="default", owner="a worker", lease_s=60)
    laboratory.jobs.start_running(claim.lease)
    laboratory.studies.move(
        study_id, StudyState.PAUSED, leaving=(StudyState.RUNNING,), message="Paused."
    )
    paused = laboratory.round(study_id)
    assert states_of(paused) == {"paused": 1, "pausing": 1, "pending": 7}
    return study_id


def test_a_resumed_study_and_its_jobs_go_on_in_one_step(laboratory):
    study_id = a_paused_study(laboratory)
    assert laboratory.studies.resume(study_id) == 1
    study = laboratory.studies.get(study_id)
    assert study.state is StudyState.RUNNING
    assert states_of(study) == {"queued": 1, "running": 1, "pending": 7}
    assert laboratory.events(study_id)[-1].message == "Resumed on request."


def test_a_round_that_saw_the_study_paused_pauses_nothing_that_was_resumed_meanwhile(
    small_laboratory,
):
    laboratory = small_laboratory
    study_id = a_paused_study(laboratory)
    laboratory.studies.resume(study_id)
    # What a round does that read the study's state before.
    laboratory.studies.pause_jobs(study_id)
    assert states_of(laboratory.studies.get(study_id)) == {"queued": 1, "running": 1, "pending": 7}


def test_a_running_study_that_is_resumed_takes_along_what_is_paused(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(max_active_jobs=2)
    laboratory.round(study_id)
    paused, _ = laboratory.studies.active_job_ids(study_id)
    laboratory.jobs.request_pause(paused)
    num_events = len(laboratory.events(study_id))
    assert laboratory.studies.resume(study_id) == 1
    assert laboratory.jobs.get(paused).state is JobState.QUEUED
    assert len(laboratory.events(study_id)) == num_events


def test_a_study_that_is_being_cancelled_resumes_nothing(small_laboratory):
    laboratory = small_laboratory
    study_id = a_paused_study(laboratory)
    laboratory.studies.move(
        study_id, StudyState.CANCELLING, leaving=(StudyState.PAUSED,), message="Cancelled."
    )
    assert laboratory.studies.resume(study_id) is None
    assert states_of(laboratory.studies.get(study_id)) == {"paused": 1, "pausing": 1, "pending": 7}
