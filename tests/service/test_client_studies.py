import httpx
import pytest

from service.client import Client
from service.errors import DriftgateError, ErrorCode
from service.jobs.studies import StudyState
from tests.service.scripted_service import LosesTheFirstAnswer
from tests.service.studies.played_runs import STUDY, play_one, study_spec


def test_a_study_is_submitted_followed_steered_judged_and_deleted(rest_client, rest_service):
    plan = rest_client.plan_study(STUDY)
    study = rest_client.submit_study(study_spec(), idempotency_key="once")
    assert plan.num_jobs == study.progress.num_runs == 9
    assert rest_client.submit_study(STUDY, idempotency_key="once") == study
    play_one(rest_service.jobs, rest_service.results, lambda _arm, _seed: (1, 2, 3, 4))
    assert rest_client.pause_study(study.id).state is StudyState.PAUSED
    assert rest_client.resume_study(study.id).progress.num_succeeded == 1
    verdict = rest_client.study_verdict(study.id)
    # 10 of 32 samples.
    assert verdict.arms[0].metrics["pass@1"].values == (pytest.approx(10 / 32),)
    assert rest_client.cancel_study(study.id).state is StudyState.CANCELLED
    assert [one.id for one in rest_client.iterate_studies(page_size=1)] == [study.id]
    events = rest_client.study_events(study.id, limit=2)
    assert [event.seq for event in events.events] == [1, 2]
    assert rest_client.study_events(study.id, after=events.next_after).events[0].seq == 3
    rest_client.delete_study(study.id)
    with pytest.raises(DriftgateError) as caught:
        rest_client.study(study.id)
    assert caught.value.code is ErrorCode.STUDY_NOT_FOUND
    assert len(rest_client.study_presets()) == 11


def test_a_lost_answer_does_not_make_two_studies(rest_service):
    transport = LosesTheFirstAnswer()
    with Client(rest_service.url, transport=transport, retry_for_s=30) as client:
        study = client.submit_study(STUDY)
        assert transport.num_requests == 2
        assert [one.id for one in client.iterate_studies()] == [study.id]


def test_what_is_not_there_is_no_error_of_the_network(rest_client):
    with pytest.raises(DriftgateError) as caught:
        rest_client.study_verdict("../jobs")
    assert caught.value.code in (ErrorCode.STUDY_NOT_FOUND, ErrorCode.ROUTE_NOT_FOUND)
    assert not isinstance(caught.value, httpx.HTTPError)
