"""What only the REST layer adds; the stores' own tests say what a job does."""

import pytest

from service.jobs.catalog import Metric
from service.jobs.plans import Plan
from service.jobs.records import (
    BlockDrift,
    CheckpointRecord,
    EvaluationRecord,
    ProblemOutcome,
    UpdateRecord,
)
from service.rest.jobs import EXAMPLE_SPEC
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore


@pytest.fixture
def settings(settings_factory, database_url, redis_url):
    return settings_factory(database_url=database_url, broker_url=redis_url)


def test_a_submitted_job_is_created_rung_and_readable(api, spec, settings, wait_until):
    created = api.post("/v1/jobs", json=spec)
    assert created.status_code == 201
    job = created.json()
    assert (job["state"], job["attempt"], job["labels"]) == ("queued", 0, {"team": "tests"})
    assert job["progress"] == {"step": 0, "total_steps": 5, "update": 0, "total_updates": 10}
    assert job["spec"]["objective"] == {"type": "teacher_topk", "k": 4}
    assert api.get(created.headers["location"]).json() == job
    doorbell = api.app.state.operations._doorbell
    wait_until(lambda: doorbell.num_waiting("default") == 1)


def test_the_example_of_the_description_is_accepted(api):
    assert api.post("/v1/jobs", json=EXAMPLE_SPEC).status_code == 201


def test_a_doubtful_spec_is_accepted_with_a_warning_that_names_the_field(api, spec_with):
    job = api.post("/v1/jobs", json=spec_with("gate.block_size", 128)).json()
    assert "gate.block_size" in [warning["field"] for warning in job["warnings"]]


def test_a_spec_can_be_planned_without_a_job(api, spec, spec_with):
    answer = api.post("/v1/jobs", params={"validate_only": True}, json=spec)

    assert answer.status_code == 200
    plan = Plan.model_validate_json(answer.content)
    assert (plan.spec.steps, plan.spec.seed) == (5, 0)
    assert [warning.code for warning in plan.warnings] == ["SAMPLED_OFF_POLICY"]
    # 2 layers of 4·64·64 + 3·64·168 + 2·64 + 2·16 = 48,800 and a norm of 64; 45 embeddings of 64.
    assert (plan.student.body, plan.student.embedding) == (2 * 48_800 + 64, 45 * 64)
    assert [part.part for part in plan.unknown] == ["time"]
    assert "location" not in answer.headers
    refused = api.post(
        "/v1/jobs", params={"validate_only": True}, json=spec_with("teacher.model", "builtin/no")
    )
    assert refused.json()["code"] == "MODEL_NOT_FOUND"
    assert api.get("/v1/jobs").json()["jobs"] == []


def test_the_same_key_gives_the_same_job_and_another_spec_a_conflict(api, spec, spec_with):
    headers = {"Idempotency-Key": "a key"}
    first = api.post("/v1/jobs", json=spec, headers=headers)
    again = api.post("/v1/jobs", json=spec, headers=headers)
    assert first.json() == again.json()
    other = api.post("/v1/jobs", json=spec_with("steps", 6), headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")


def test_a_list_is_paged_and_kept_to_states(api, spec):
    ids = [api.post("/v1/jobs", json=spec).json()["id"] for _ in range(3)]
    api.post(f"/v1/jobs/{ids[0]}:cancel")
    first = api.get("/v1/jobs", params={"page_size": 2}).json()
    rest = api.get("/v1/jobs", params={"page_token": first["next_page_token"]}).json()
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == ids[::-1]
    assert rest["next_page_token"] is None
    kept = api.get("/v1/jobs", params={"state": ["cancelled", "failed"]}).json()
    assert [job["id"] for job in kept["jobs"]] == ids[:1]


def test_a_cancel_is_answered_with_the_job_and_may_be_repeated(api, spec):
    job = api.post("/v1/jobs", json=spec).json()
    cancelled = api.post(f"/v1/jobs/{job['id']}:cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert api.post(f"/v1/jobs/{job['id']}:cancel").json() == cancelled.json()
    events = api.get(f"/v1/jobs/{job['id']}/events", params={"after": 1}).json()
    assert [event["state"] for event in events["events"]] == ["cancelled"]
    assert events["next_after"] == 2


def test_what_a_worker_recorded_is_served(api, spec, database):
    job = api.post("/v1/jobs", json=spec).json()
    lease = JobStore(database).claim(queue="default", owner="worker", lease_s=60).lease
    results = ResultStore(database)
    results.resume_from(lease, update=0)
    drift = BlockDrift(num_tokens=16, mean_drift_nats=-0.1, mean_abs_drift_nats=0.1)
    metrics = {Metric.LOSS: 0.5, Metric.GRADIENT_NORM: float("inf")}
    results.append_updates(lease, [UpdateRecord(1, 1, metrics, (drift,))])
    results.record_checkpoint(lease, CheckpointRecord(1, 2, "/a/step-1", 10, "a" * 64, final=False))
    for stage, num_right in (("baseline", 1), ("final", 3)):
        results.record_evaluation(
            lease,
            EvaluationRecord(
                benchmark="arithmetic",
                stage=stage,
                problems_sha256="b" * 64,
                samples_per_problem=4,
                k=(1,),
                temperature=1.0,
                top_p=0.9,
                max_response_tokens=128,
                seed=0,
                num_response_tokens=100,
                seconds=1.0,
                problems=(
                    ProblemOutcome("p0", n=4, c=num_right, num_no_answer=0, num_truncated=0),
                ),
            ),
        )
    address = f"/v1/jobs/{job['id']}"
    columns = api.get(f"{address}/metrics").json()["columns"]
    assert columns == {"train/loss": [0.5], "train/gradient_norm": [None]}
    named = api.get(
        f"{address}/metrics", params={"names": ["train/loss"], "after_update": 1}
    ).json()
    assert named["columns"] == {"train/loss": []}
    drift_map = api.get(f"{address}/drift-map", params={"max_rows": 1}).json()
    assert (drift_map["update"], drift_map["mean_drift_nats"]) == ([1], [[-0.1]])
    assert api.get(f"{address}/checkpoints").json()["checkpoints"][0]["uri"] == "/a/step-1"
    plain = api.get(f"{address}/results").json()
    # c goes from 1 to 3 of 4 samples: pass@1 from 0.25 to 0.75.
    assert plain["differences"][0]["pass_at"]["1"]["estimate"] == pytest.approx(0.5)
    assert plain["evaluations"][0]["problems"] == []
    full = api.get(f"{address}/results", params={"include": "problems"}).json()
    assert full["evaluations"][1]["problems"][0]["c"] == 3


def test_a_post_is_answered_while_the_broker_is_down(
    settings_factory, sqlite_url, unused_port, spec, client_of
):
    settings = settings_factory(
        database_url=sqlite_url, broker_url=f"redis://127.0.0.1:{unused_port}/0"
    )
    with client_of(settings) as api:
        created = api.post("/v1/jobs", json=spec)
        assert created.status_code == 201
        assert api.get(f"/v1/jobs/{created.json()['id']}").json()["state"] == "queued"


def test_without_a_database_the_answer_says_to_try_again(settings_factory, unused_port, client_of):
    away = settings_factory(database_url=f"postgresql://nobody@127.0.0.1:{unused_port}/nothing")
    with client_of(away) as api:
        refused = api.get("/v1/jobs")
        assert (refused.status_code, refused.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
        assert refused.json()["retryable"] is True
        assert int(refused.headers["retry-after"]) > 0
        assert api.get("/healthz").status_code == 200
