"""What one transport wrote of a study, read by both."""

import pytest

from service.jobs import studies, study_verdicts
from service.jobs.study_arms import arm_presets
from service.jobs.study_jobs import parse_study
from service.rpc.convert import message_of, view_message
from service.rpc.generated.driftgate.v1 import studies_pb2 as pb
from service.rpc.requests import study_data
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.service.studies.played_runs import STUDY, play_one


def request_of(**changes):
    return pb.CreateStudyRequest(spec=message_of(pb.StudySpec, STUDY | changes))


def read(view, answer):
    assert answer.status_code < 300, answer.text
    return view.model_validate_json(answer.content)


def test_a_study_comes_back_from_the_wire_as_it_went():
    arms = [
        *STUDY["arms"],
        {"name": "x", "changes": {"steps": 7, "optimizer": {"learning_rate": 0.5}, "lora": None}},
        {"name": "y", "changes": {"masked_token_ids": [1, 2], "gate": {"ratio_bounds": [0.5, 2]}}},
    ]
    body = STUDY | {"arms": arms, "stop_when_arm_collapses": True, "budget_tokens": 10**12}
    spec = parse_study(body)
    assert parse_study(study_data(message_of(pb.StudySpec, body))) == spec
    # As answers have it, with every field set and numbers of a Struct that are doubles.
    assert parse_study(study_data(view_message(pb.StudySpec, spec))) == spec


def test_a_study_made_by_one_transport_is_the_same_read_by_the_other(rest, stubs):
    headers = {"Idempotency-Key": "once"}
    made = read(studies.Study, rest.post("/v1/studies", json=STUDY, headers=headers))
    request = request_of()
    request.request_id = "once"

    again = stubs.studies.CreateStudy(request).study

    assert again == view_message(pb.Study, made)
    got = stubs.studies.GetStudy(pb.GetStudyRequest(study_id=made.id)).study
    assert got == again
    page = read(studies.StudyPage, rest.get("/v1/studies"))
    assert stubs.studies.ListStudies(pb.ListStudiesRequest()) == view_message(
        pb.ListStudiesResponse, page
    )
    events = read(studies.StudyEventPage, rest.get(f"/v1/studies/{made.id}/events?limit=2"))
    assert stubs.studies.ListStudyEvents(
        pb.ListStudyEventsRequest(study_id=made.id, page_size=2)
    ) == view_message(pb.ListStudyEventsResponse, events)
    assert [event.seq for event in events.events] == [1, 2]


def test_a_plan_is_the_same_by_both_and_creates_nothing(rest, stubs):
    body = STUDY | {"smallest_difference": 0.05}
    plan = read(
        studies.StudyPlan,
        rest.post("/v1/studies", params={"validate_only": "true"}, json=body),
    )
    request = request_of(smallest_difference=0.05)
    request.validate_only = True

    answer = stubs.studies.CreateStudy(request)

    assert answer.plan == view_message(pb.StudyPlan, plan)
    assert not answer.HasField("study")
    assert answer.plan.tokens == plan.tokens > 0
    assert list(stubs.studies.ListStudies(pb.ListStudiesRequest()).studies) == []


def test_a_study_is_steered_by_either_and_deleted(rest, stubs):
    study_id = stubs.studies.CreateStudy(request_of()).study.id
    paused = stubs.studies.PauseStudy(pb.PauseStudyRequest(study_id=study_id)).study
    assert paused.state == pb.STUDY_STATE_PAUSED
    assert read(studies.Study, rest.post(f"/v1/studies/{study_id}:resume")).state == "running"
    resumed = stubs.studies.ResumeStudy(pb.ResumeStudyRequest(study_id=study_id)).study
    assert resumed.state == pb.STUDY_STATE_RUNNING
    cancelled = stubs.studies.CancelStudy(pb.CancelStudyRequest(study_id=study_id)).study
    assert cancelled.state == pb.STUDY_STATE_CANCELLED
    assert {run.state for arm in cancelled.arms for run in arm.runs} == {"cancelled"}
    stubs.studies.DeleteStudy(pb.DeleteStudyRequest(study_id=study_id))
    assert rest.get(f"/v1/studies/{study_id}").status_code == 404


@pytest.fixture
def judged(settings, job_store, rest):
    """A study of which two arms have run with their first seed."""
    database = Database(settings.resolved_database_url())
    study_id = rest.post("/v1/studies", json=STUDY).json()["id"]
    for _ in range(2):
        arm_and_seed = play_one(
            job_store,
            ResultStore(database),
            lambda arm, _seed: (4, 5, 6, 7) if arm == "block" else (1, 2, 3, 4),
        )
        assert arm_and_seed is not None
    yield study_id
    database.close()


def test_a_verdict_is_the_same_by_both(rest, stubs, judged):
    verdict = read(study_verdicts.StudyVerdict, rest.get(f"/v1/studies/{judged}/verdict"))
    by_grpc = stubs.studies.GetStudyVerdict(pb.GetStudyVerdictRequest(study_id=judged)).verdict
    assert by_grpc == view_message(pb.StudyVerdict, verdict)
    # Right of eight: 22 in 32 and 10 in 32.
    assert by_grpc.contrast.estimate == pytest.approx(12 / 32)
    assert not by_grpc.contrast.HasField("low")
    assert by_grpc.arms[1].metrics["pass@1"].values == pytest.approx([22 / 32])


def test_the_presets_are_the_same_by_both(rest, stubs):
    by_grpc = stubs.studies.ListStudyPresets(pb.ListStudyPresetsRequest()).presets
    assert [preset.name for preset in by_grpc] == [preset.name for preset in arm_presets()]
    assert [preset["name"] for preset in rest.get("/v1/study-presets").json()] == [
        preset.name for preset in by_grpc
    ]
