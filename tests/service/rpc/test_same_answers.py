"""What one transport wrote, read by both: the same job, the same pages, the same figures."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.jobs import (
    comparisons,
    gate_simulations,
    gradient_fidelity,
    metric_queries,
    results,
)
from service.jobs.catalog import Metric
from service.jobs.plans import Plan
from service.jobs.records import BlockDrift, UpdateRecord
from service.jobs.results import Job, JobPage
from service.jobs.state import JobState
from service.rpc.convert import job_message, message_of, plan_message, view_message
from service.rpc.generated.driftgate.v1 import (
    checkpoints_pb2,
    comparisons_pb2,
    evaluations_pb2,
    gate_simulations_pb2,
    jobs_pb2,
    metrics_pb2,
    results_pb2,
    spec_pb2,
)
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.service.rpc.parity_worlds import SPEC, open_world
from tests.worker_records import (
    a_batch,
    a_gradient_fidelity,
    a_reverse_kl,
    a_sample,
    a_token_drift,
    an_evaluation_record,
    an_outcome,
)

NUM_CLIENTS = 100


def spec_of(**changes: object) -> spec_pb2.JobSpec:
    return message_of(spec_pb2.JobSpec, SPEC | changes)


def wire(message) -> bytes:
    """NaN is not equal to itself, its bytes are."""
    return message.SerializeToString(deterministic=True)


def test_a_job_made_by_one_transport_is_the_same_read_by_the_other(rest, stub):
    made = rest.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "once"}).json()

    again = stub.CreateJob(jobs_pb2.CreateJobRequest(spec=spec_of(), request_id="once")).job

    assert again == job_message(Job.model_validate_json(rest.get(f"/v1/jobs/{made['id']}").content))
    assert [warning.code for warning in again.warnings] == ["SAMPLED_OFF_POLICY"]
    assert again.spec.gate.block_size == made["spec"]["gate"]["block_size"] == 64


def test_a_plan_is_the_same_by_both_and_creates_nothing(rest, stub):
    body = SPEC | {"lora": {"rank": 4}, "steps": 1_000_000}
    request = jobs_pb2.CreateJobRequest(spec=message_of(spec_pb2.JobSpec, body), validate_only=True)

    answer = stub.CreateJob(request)
    plan = Plan.model_validate_json(
        rest.post("/v1/jobs", params={"validate_only": "true"}, json=body).content
    )

    assert answer.plan == plan_message(plan)
    assert not answer.HasField("job")
    assert answer.plan.job.total.flops == plan.job.total.flops > 0
    assert answer.plan.HasField("trained_parameters")
    assert not answer.plan.HasField("time")
    assert [part.part for part in answer.plan.unknown] == ["time"]
    assert list(stub.ListJobs(jobs_pb2.ListJobsRequest()).jobs) == []


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({}, {}),
        ({"order_by": "created_at"}, {"order_by": "created_at"}),
        ({"state": "queued"}, {"states": [jobs_pb2.JOB_STATE_QUEUED]}),
        ({"label": "team=a"}, {"labels": {"team": "a"}}),
        (
            {"kind": "distillation", "model": "builtin/arithmetic-teacher"},
            {"kinds": [spec_pb2.JOB_KIND_DISTILLATION], "model": "builtin/arithmetic-teacher"},
        ),
    ],
)
def test_a_list_begun_by_one_transport_is_gone_on_with_by_the_other(rest, stub, parameters, fields):
    for index in range(7):
        team = "a" if index < 6 else "b"
        rest.post("/v1/jobs", json=SPEC | {"labels": {"team": team}})
    expected = JobPage.model_validate_json(rest.get("/v1/jobs", params=parameters).content).jobs

    first = stub.ListJobs(jobs_pb2.ListJobsRequest(page_size=2, **fields))
    second = JobPage.model_validate_json(
        rest.get(
            "/v1/jobs", params=parameters | {"page_size": 2, "page_token": first.next_page_token}
        ).content
    )
    rest_of_all = stub.ListJobs(
        jobs_pb2.ListJobsRequest(page_size=9, page_token=second.next_page_token, **fields)
    )

    assert [*first.jobs, *map(job_message, second.jobs), *rest_of_all.jobs] == [
        job_message(job) for job in expected
    ]
    assert rest_of_all.next_page_token == ""
    assert len(expected) >= 6


def test_a_key_from_a_hundred_clients_of_both_at_once_makes_one_job(
    settings_factory, database_url, redis_url
):
    settings = settings_factory(database_url=database_url, broker_url=redis_url, grpc_port=0)
    request = jobs_pb2.CreateJobRequest(spec=spec_of(), request_id="once")
    with ExitStack() as stack:
        world = open_world(settings, stack)

        def create(index: int) -> str:
            if index % 2:
                return world.stubs.jobs.CreateJob(request).job.id
            answer = world.rest.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": "once"})
            assert answer.status_code == 201, answer.text
            return answer.json()["id"]

        clients = stack.enter_context(ThreadPoolExecutor(NUM_CLIENTS))
        ids = list(clients.map(create, range(NUM_CLIENTS)))

        assert len(ids) == NUM_CLIENTS
        assert len(set(ids)) == 1
        assert [job.id for job in world.operations.list_jobs().jobs] == [ids[0]]


@pytest.fixture
def measured(settings, job_store, rest):
    """Two ended jobs with a bit of everything that a worker records."""
    database = Database(settings.resolved_database_url())
    result_store = ResultStore(database)
    ids = []
    for steps, right in ((5, 1), (6, 3)):
        ids.append(rest.post("/v1/jobs", json=SPEC | {"steps": steps}).json()["id"])
        lease = job_store.claim(queue="default", owner="w", lease_s=60).lease
        job_store.start_running(lease)
        result_store.append_updates(
            lease,
            [
                UpdateRecord(
                    step=1,
                    update=update,
                    metrics={Metric.LOSS: loss}
                    | ({Metric.ROLLOUT_SECONDS: 1.5} if update == 1 else {}),
                    drift_by_block=(BlockDrift(16, -0.1, 0.1), BlockDrift(0, None, None)),
                    token_drift=a_token_drift([[0.1 * update, 0.0, -0.3], [0.2]]),
                )
                for update, loss in enumerate([0.5, float("nan"), float("inf")], start=1)
            ],
        )
        result_store.record_samples(
            lease, a_batch("teacher", [a_sample(0), a_sample(1, verdict="wrong", extracted=None)])
        )
        nats = {"baseline": 0.25, "final": None}
        for stage, c in (("baseline", 1), ("final", right)):
            outcomes = [an_outcome(f"p{index}", n=4, c=c) for index in range(3)]
            result_store.record_evaluation(lease, an_evaluation_record(stage, outcomes))
            result_store.record_reverse_kl(lease, a_reverse_kl(stage, nats[stage]))
        result_store.record_gradient_fidelity(lease, a_gradient_fidelity(depth=2))
        job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    yield ids
    database.close()


ANSWERS = {
    "events": (
        "/v1/jobs/{}/events",
        results.JobEventPage,
        jobs_pb2.ListEventsResponse,
        lambda stubs, ids: stubs.jobs.ListEvents(jobs_pb2.ListEventsRequest(job_id=ids[0])),
    ),
    "attempts": (
        "/v1/jobs/{}/attempts",
        results.JobAttempts,
        jobs_pb2.ListAttemptsResponse,
        lambda stubs, ids: stubs.jobs.ListAttempts(jobs_pb2.ListAttemptsRequest(job_id=ids[0])),
    ),
    "metrics": (
        "/v1/jobs/{}/metrics",
        results.JobMetrics,
        metrics_pb2.JobMetrics,
        lambda stubs, ids: (
            stubs.results.GetMetrics(results_pb2.GetMetricsRequest(job_id=ids[0])).metrics
        ),
    ),
    "curves": (
        "/v1/metrics:query?job_id={}&job_id={}&key=train/loss&x=update",
        metric_queries.MetricSeriesSet,
        results_pb2.QueryMetricsResponse,
        lambda stubs, ids: stubs.results.QueryMetrics(
            results_pb2.QueryMetricsRequest(
                job_ids=ids, keys=["train/loss"], x=metrics_pb2.METRIC_X_UPDATE
            )
        ),
    ),
    "latest metrics": (
        "/v1/jobs/{}/metrics:latest",
        metric_queries.LatestMetrics,
        results_pb2.GetLatestMetricsResponse,
        lambda stubs, ids: stubs.results.GetLatestMetrics(
            results_pb2.GetLatestMetricsRequest(job_id=ids[0])
        ),
    ),
    "drift map": (
        "/v1/jobs/{}/drift-map",
        results.DriftMap,
        metrics_pb2.DriftMap,
        lambda stubs, ids: (
            stubs.results.GetDriftMap(results_pb2.GetDriftMapRequest(job_id=ids[0])).drift_map
        ),
    ),
    "gradient fidelity": (
        "/v1/jobs/{}/gradient-fidelity",
        gradient_fidelity.GradientFidelity,
        results_pb2.GetGradientFidelityResponse,
        lambda stubs, ids: stubs.results.GetGradientFidelity(
            results_pb2.GetGradientFidelityRequest(job_id=ids[0])
        ),
    ),
    "simulated gate": (
        "/v1/jobs/{}/gate:simulate?granularity=token&kernel=ratio&adaptive=0.5&ratio_bounds=0.25&ratio_bounds=4",
        gate_simulations.GateSimulation,
        gate_simulations_pb2.GateSimulation,
        lambda stubs, ids: (
            stubs.results.SimulateGate(
                results_pb2.SimulateGateRequest(
                    job_id=ids[0],
                    gate=spec_pb2.GateSpec(
                        granularity=spec_pb2.GRANULARITY_TOKEN,
                        kernel=spec_pb2.KERNEL_RATIO,
                        strength=spec_pb2.Strength(adaptive=0.5),
                        ratio_bounds=[0.25, 4],
                    ),
                )
            ).simulation
        ),
    ),
    "simulated gate without a strength": (
        "/v1/jobs/{}/gate:simulate?kernel=hard&threshold=0.2&block_size=1",
        gate_simulations.GateSimulation,
        gate_simulations_pb2.GateSimulation,
        lambda stubs, ids: (
            stubs.results.SimulateGate(
                results_pb2.SimulateGateRequest(
                    job_id=ids[0],
                    gate=spec_pb2.GateSpec(
                        kernel=spec_pb2.KERNEL_HARD, threshold=0.2, block_size=1
                    ),
                )
            ).simulation
        ),
    ),
    "results": (
        "/v1/jobs/{}/results?include=problems",
        results.JobResults,
        evaluations_pb2.JobResults,
        lambda stubs, ids: (
            stubs.results.GetResults(
                results_pb2.GetResultsRequest(job_id=ids[0], include_problems=True)
            ).results
        ),
    ),
    "samples": (
        "/v1/jobs/{}/samples?verdict=wrong",
        results.SamplePage,
        results_pb2.ListSamplesResponse,
        lambda stubs, ids: stubs.results.ListSamples(
            results_pb2.ListSamplesRequest(job_id=ids[0], verdict="wrong")
        ),
    ),
    "sample plan": (
        "/v1/jobs/{}/sample-plan?difference=0.3&k=1",
        comparisons.SamplePlan,
        comparisons_pb2.SamplePlan,
        lambda stubs, ids: (
            stubs.results.GetSamplePlan(
                results_pb2.GetSamplePlanRequest(job_id=ids[0], difference=0.3, k=1)
            ).plan
        ),
    ),
    "comparison": (
        "/v1/comparisons?job_id={}&job_id={}&k=1",
        comparisons.Comparison,
        comparisons_pb2.Comparison,
        lambda stubs, ids: (
            stubs.results.CompareJobs(results_pb2.CompareJobsRequest(job_ids=ids, k=1)).comparison
        ),
    ),
    "checkpoints": (
        "/v1/jobs/{}/checkpoints",
        results.JobCheckpoints,
        checkpoints_pb2.ListCheckpointsResponse,
        lambda stubs, ids: stubs.checkpoints.ListCheckpoints(
            checkpoints_pb2.ListCheckpointsRequest(job_id=ids[0])
        ),
    ),
    "several jobs": (
        "/v1/jobs:batchGet?job_id={}&job_id=none&job_id={}",
        results.JobBatch,
        jobs_pb2.BatchGetJobsResponse,
        lambda stubs, ids: stubs.jobs.BatchGetJobs(
            jobs_pb2.BatchGetJobsRequest(job_ids=[ids[0], "none", ids[1]])
        ),
    ),
}


def test_everything_that_a_job_measured_is_the_same_by_both(rest, stubs, measured):
    for name, (path, view, message, by_grpc) in ANSWERS.items():
        answer = rest.get(path.format(*measured))
        assert answer.status_code == 200, answer.text
        expected = view_message(message, view.model_validate_json(answer.content))
        assert wire(by_grpc(stubs, measured)) == wire(expected), name


def test_what_was_recorded_is_in_the_messages(stubs, measured):
    metrics = ANSWERS["metrics"][3](stubs, measured)
    assert [repr(value) for value in metrics.columns["train/loss"].values] == ["0.5", "nan", "inf"]
    assert list(metrics.columns["rollout/seconds"].missing) == [1, 2]
    (at_depth_2,) = ANSWERS["gradient fidelity"][3](stubs, measured).measurements
    own, undefined = at_depth_2.weightings
    assert (own.weighting, own.cosine, own.norm_ratio) == ("job", 0.5, 1.25)
    assert not undefined.HasField("cosine")
    before, not_finite = ANSWERS["results"][3](stubs, measured).reverse_kls
    assert (before.stage, before.mean_nats, before.num_tokens) == ("baseline", 0.25, 100)
    assert not not_finite.HasField("mean_nats")
    drift_map = ANSWERS["drift map"][3](stubs, measured)
    assert [list(row.missing) for row in drift_map.mean_drift_nats] == [[1], [1], [1]]
    (pair,) = ANSWERS["comparison"][3](stubs, measured).pairs
    assert pair.comparable
    assert pair.benchmarks["arithmetic"].difference.estimate == pytest.approx(0.5)


def test_changes_are_told_from_the_token_of_the_other_transport(rest, stub):
    before = stub.ListChanges(jobs_pb2.ListChangesRequest())
    assert list(before.changes) == []
    made = rest.post("/v1/jobs", json=SPEC).json()["id"]

    answer = stub.ListChanges(jobs_pb2.ListChangesRequest(after=before.next_after))
    by_rest = results.JobChanges.model_validate_json(
        rest.get("/v1/jobs:changes", params={"after": before.next_after}).content
    )

    assert answer == view_message(jobs_pb2.ListChangesResponse, by_rest)
    assert [change.job_id for change in answer.changes] == [made]
