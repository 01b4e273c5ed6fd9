"""What only the REST layer adds; the stores' own tests say what a job does."""

import pytest

from service.jobs.catalog import Metric
from service.jobs.plans import Plan
from service.jobs.records import (
    BlockDrift,
    CheckpointRecord,
    UpdateRecord,
)
from service.jobs.state import JobState
from service.rest.job_examples import EXAMPLE_EVALUATION, EXAMPLE_SPEC
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from tests.worker_records import a_batch, a_sample, an_evaluation_record, an_outcome


@pytest.fixture
def settings(settings_factory, database_url, redis_url):
    return settings_factory(database_url=database_url, broker_url=redis_url)


def test_a_submitted_job_is_created_rung_and_readable(api, spec, settings, wait_until):
    created = api.post("/v1/jobs", json=spec)
    assert created.status_code == 201
    job = created.json()
    assert (job["state"], job["attempt"], job["labels"]) == ("queued", 0, {"team": "tests"})
    progress = job["progress"]
    assert (progress["step"], progress["total_steps"], progress["total_updates"]) == (0, 5, 10)
    assert job["spec"]["objective"] == {"type": "teacher_topk", "k": 4}
    assert api.get(created.headers["location"]).json() == job
    doorbell = api.app.state.operations._doorbell
    wait_until(lambda: doorbell.num_waiting("default") == 1)


def test_a_list_is_of_the_jobs_that_have_every_label(api, spec_with):
    both = api.post("/v1/jobs", json=spec_with("labels", {"team": "t1", "run": "a"})).json()["id"]
    api.post("/v1/jobs", json=spec_with("labels", {"team": "t1", "run": "b"}))
    listed = api.get("/v1/jobs?label=team=t1&label=run=a&label=team=t1").json()["jobs"]
    assert [job["id"] for job in listed] == [both]


@pytest.mark.parametrize("example", [EXAMPLE_SPEC, EXAMPLE_EVALUATION])
def test_the_examples_of_the_description_are_accepted(api, example):
    assert api.post("/v1/jobs", json=example).status_code == 201


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
            an_evaluation_record(stage, [an_outcome("p0", n=4, c=num_right)]),
        )
    address = f"/v1/jobs/{job['id']}"
    columns = api.get(f"{address}/metrics").json()["columns"]
    assert columns == {"train/loss": [0.5], "train/gradient_norm": ["Infinity"]}
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


EVALUATION = {
    "kind": "evaluation",
    "model": {"model": "builtin/arithmetic-teacher"},
    "max_prompt_tokens": 64,
    "evaluation": {
        "benchmarks": [{"name": "digits", "problems": {"source": "arithmetic"}}],
        "profile": "policy",
        "max_response_tokens": 112,
    },
}


def test_samples_are_served_and_a_regrade_says_what_it_changed(api, database):
    graded = api.post("/v1/jobs", json=EVALUATION).json()
    jobs, results = JobStore(database), ResultStore(database)
    lease = jobs.claim(queue="default", owner="worker", lease_s=60).lease
    jobs.start_running(lease)
    results.record_samples(lease, a_batch("model", [a_sample(0), a_sample(1)]))
    regrade = {"kind": "regrade", "job_id": graded["id"]}
    still = api.post("/v1/jobs", json=regrade)
    assert (still.status_code, still.json()["code"]) == (409, "JOB_STATE_CONFLICT")
    results.record_evaluation(lease, an_evaluation_record("model", [an_outcome("p0", n=1, c=1)]))
    jobs.finish(lease, state=JobState.SUCCEEDED, failure=None, message="done")

    page = api.get(f"/v1/jobs/{graded['id']}/samples", params={"page_size": 1}).json()
    assert page["sampling"]["profile"] == "policy"
    assert (page["samples"][0]["problem_id"], page["samples"][0]["text"]) == ("p0", "#### 42")
    rest = api.get(
        f"/v1/jobs/{graded['id']}/samples", params={"page_token": page["next_page_token"]}
    ).json()
    assert [sample["problem_id"] for sample in rest["samples"]] == ["p1"]

    assert api.post("/v1/jobs?validate_only=true", json=regrade).json()["job"] is None
    submitted = api.post("/v1/jobs", json=regrade).json()
    again = jobs.claim(queue="default", owner="worker", lease_s=60).lease
    judged = [a_sample(0), a_sample(1, verdict="wrong", text=None)]
    results.record_samples(again, a_batch("model", judged))
    changes = api.get(f"/v1/jobs/{submitted['id']}/verdict-changes").json()
    assert (changes["regraded_job_id"], changes["num_changed"]) == (graded["id"], 1)
    refused = api.get(f"/v1/jobs/{graded['id']}/verdict-changes")
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")


def test_jobs_are_compared_and_more_samples_planned(api, database):
    jobs, results = JobStore(database), ResultStore(database)
    ids = []
    for num_right in (1, 3):
        ids.append(api.post("/v1/jobs", json=EVALUATION).json()["id"])
        lease = jobs.claim(queue="default", owner="worker", lease_s=60).lease
        outcomes = [an_outcome(f"p{i}", n=4, c=num_right) for i in range(30)]
        results.record_evaluation(lease, an_evaluation_record("model", outcomes))
    comparison = api.get("/v1/comparisons", params={"job_id": ids, "k": 1}).json()
    assert comparison["reference_job_id"] == ids[0]
    (pair,) = comparison["pairs"]
    assert pair["comparable"]
    assert pair["mean"]["difference"]["estimate"] == pytest.approx(0.5)
    assert pair["benchmarks"]["arithmetic"]["wins"] == 30
    assert "training-seed variance not included" in comparison["note"]

    plan = api.get(f"/v1/jobs/{ids[0]}/sample-plan", params={"difference": 0.02, "k": 1}).json()
    assert plan["smallest_resolvable_difference"] <= 0.02
    assert plan["benchmarks"][0]["samples_per_problem"] > 4

    for parameters in ({"job_id": ids[:1]}, {"job_id": [ids[0]] * 2}, {"job_id": ids, "k": 0}):
        refused = api.get("/v1/comparisons", params=parameters)
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")
    absent = api.get("/v1/comparisons", params={"job_id": [ids[0], "0" * 32]})
    assert absent.json()["code"] == "JOB_NOT_FOUND"
    unplanned = api.get(
        f"/v1/jobs/{ids[0]}/sample-plan", params={"difference": 0.02, "stage": "teacher"}
    )
    assert unplanned.json()["violations"][0]["field"] == "stage"


def test_an_evaluation_is_planned_without_steps(api):
    plan = api.post("/v1/jobs?validate_only=true", json=EVALUATION).json()
    assert (plan["step"], plan["trained_parameters"]) == (None, None)
    assert plan["job"]["total"]["tokens"] == 200 * (64 + 8 * 112)


def test_a_regrade_of_nothing_is_refused_with_its_field(api, spec):
    absent = api.post("/v1/jobs", json={"kind": "regrade", "job_id": "0" * 32})
    assert (absent.status_code, absent.json()["code"]) == (404, "JOB_NOT_FOUND")
    job = api.post("/v1/jobs", json=spec).json()
    api.post(f"/v1/jobs/{job['id']}:cancel")
    empty = api.post("/v1/jobs", json={"kind": "regrade", "job_id": job["id"]}).json()
    assert (empty["code"], empty["violations"][0]["field"]) == ("INVALID_SPEC", "job_id")


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
