import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from service.client import Client
from service.errors import DriftgateError, ErrorCode
from service.jobs.api_keys import ApiKeyRequest
from service.jobs.catalog import Metric
from service.jobs.comparisons import Comparison
from service.jobs.job_queries import JobOrder
from service.jobs.metric_queries import MetricX
from service.jobs.results import JobPage, SamplePage, SamplingInForce, VerdictChanges
from service.jobs.spec import JobKind, JobSpec
from service.jobs.state import JobState
from service.jobs.webhooks import WebhookSpec
from service.rest.app import create_app
from tests.service.demo.answers import BEFORE, METRICS, evaluation, job, results
from tests.service.scripted_service import SPEC, ScriptedService, problem
from tests.worker_records import an_update


def test_a_submitted_spec_arrives_whole_and_the_job_comes_back_as_its_type():
    service = ScriptedService((201, job(SPEC)))
    with service.client(api_key="secret") as client:
        assert client.submit(SPEC, idempotency_key="once") == job(SPEC)
    (request,) = service.requests
    assert (request.method, request.url.path) == ("POST", "/prefix/v1/jobs")
    assert JobSpec.model_validate_json(request.content) == SPEC
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["idempotency-key"] == "once"


def test_reads_ask_for_what_was_wanted_and_a_job_id_cannot_leave_its_place():
    service = ScriptedService(
        (200, METRICS), (200, results(evaluation("baseline", BEFORE))), (200, job(SPEC))
    )
    with service.client() as client:
        client.metrics("1", names=["train/loss", "gate/std"], after_update=4)
        assert client.results("1", include_problems=True).evaluations[0].problems[1].c == 4
        client.cancel("../other?x")
    metrics, problems, cancel = (request.url for request in service.requests)
    assert metrics.path == "/prefix/v1/jobs/1/metrics"
    assert metrics.params.get_list("names") == ["train/loss", "gate/std"]
    assert metrics.params["after_update"] == "4"
    assert problems.params["include"] == "problems"
    assert cancel.raw_path == b"/prefix/v1/jobs/..%2Fother%3Fx:cancel"


def test_a_gate_is_asked_for_by_what_is_changed_of_it():
    refused = problem(409, code="NO_TOKEN_DRIFT", detail="none")
    service = ScriptedService(refused, refused)
    with service.client() as client:
        for strength in ({"adaptive": 0.5}, 20):
            with pytest.raises(DriftgateError) as caught:
                client.simulate_gate("1", {"strength": strength, "ratio_bounds": [0.5, 4]})
            assert caught.value.code is ErrorCode.NO_TOKEN_DRIFT
    adaptive, constant = (request.url for request in service.requests)
    assert adaptive.path == "/prefix/v1/jobs/1/gate:simulate"
    assert adaptive.params.multi_items() == [
        ("ratio_bounds", "0.5"),
        ("ratio_bounds", "4"),
        ("adaptive", "0.5"),
    ]
    assert constant.params["strength"] == "20"


def test_samples_comparisons_and_plans_are_asked_for_with_their_parameters():
    sampling = SamplingInForce(
        profile="policy", temperature=1.0, top_p=1.0, top_k=None, max_response_tokens=9
    )
    page = SamplePage(job_id="1", sampling=sampling, samples=(), next_page_token=None)
    comparison = Comparison(
        k=4, reference_job_id="1", jobs=(), pairs=(), spec_differences=(), note=""
    )
    changes = VerdictChanges(
        job_id="1", regraded_job_id="2", num_samples=0, num_changed=0, changes=()
    )
    service = ScriptedService((200, page), (200, comparison), (200, changes), (200, page))
    with service.client() as client:
        assert client.samples("1", stage="final", verdict="wrong", page_size=5) == page
        assert client.compare(["1", "2"], k=4) == comparison
        assert client.verdict_changes("1") == changes
        with pytest.raises(ValidationError):
            client.sample_plan("1", difference=0.02, power=0.9)
    samples, compared, changed, planned = (request.url for request in service.requests)
    assert dict(samples.params) == {"stage": "final", "verdict": "wrong", "page_size": "5"}
    assert compared.path == "/prefix/v1/comparisons"
    assert (compared.params.get_list("job_id"), compared.params["k"]) == (["1", "2"], "4")
    assert changed.path == "/prefix/v1/jobs/1/verdict-changes"
    assert dict(planned.params) == {"difference": "0.02", "power": "0.9"}


def test_a_list_is_one_page_of_the_states_asked_for():
    service = ScriptedService((200, JobPage(jobs=(job(SPEC),), next_page_token="next")))
    with service.client() as client:
        page = client.list(states=[JobState.QUEUED, JobState.RUNNING], page_token="this")
    assert page.next_page_token == "next"
    query = service.requests[0].url.params
    assert query.get_list("state") == ["queued", "running"]
    assert query["page_token"] == "this"
    assert "page_size" not in query


def test_the_real_api_takes_and_gives_what_the_client_sends_and_reads(rest_service):
    with Client(rest_service.url) as client:
        submitted = client.submit(SPEC, idempotency_key="once")
        assert (submitted.spec, submitted.state) == (SPEC, JobState.QUEUED)
        assert client.submit(SPEC, idempotency_key="once").id == submitted.id
        assert client.get(submitted.id) == submitted
        assert client.list(states=[JobState.QUEUED], page_size=1).jobs == (submitted,)
        assert client.list(states=[JobState.RUNNING]).jobs == ()

        assert client.metrics(submitted.id, names=["train/loss"]).columns == {"train/loss": ()}
        assert client.drift_map(submitted.id).block_size == SPEC.drift_map_block_size
        assert client.results(submitted.id, include_problems=True).evaluations == ()
        assert client.checkpoints(submitted.id).checkpoints == ()

        assert client.cancel(submitted.id).state is JobState.CANCELLED
        assert client.wait(submitted.id, poll_s=0, timeout_s=10).state is JobState.CANCELLED
        events = client.events(submitted.id).events
        assert [event.seq for event in events] == [1, 2]
        assert client.events(submitted.id, after=1).events == events[1:]


def test_refusals_of_the_real_api_are_raised_with_code_and_field(rest_service):
    nowhere = SPEC.model_copy(
        update={"student": SPEC.student.model_copy(update={"model": "builtin/none"})}
    )
    with Client(rest_service.url) as client:
        with pytest.raises(DriftgateError) as missing_job:
            client.get("0" * 32)
        with pytest.raises(DriftgateError) as missing_model:
            client.submit(nowhere)
    assert missing_job.value.code is ErrorCode.JOB_NOT_FOUND
    assert missing_model.value.code is ErrorCode.MODEL_NOT_FOUND
    assert missing_model.value.violations[0].field == "student.model"


NOTHING = "nothing"


CALLS = {
    "submit": (SPEC,),
    "list": (),
    "get": ("1",),
    "patch": ("1",),
    "delete": ("1",),
    "cancel": ("1",),
    "pause": ("1",),
    "resume": ("1",),
    "get_batch": (["1"],),
    "changes": (),
    "events": ("1",),
    "attempts": ("1",),
    "metrics": ("1",),
    "metrics_query": (["1"], ["train/loss"]),
    "latest_metrics": ("1",),
    "drift_map": ("1",),
    "gradient_fidelity": ("1",),
    "simulate_gate": ("1", {"granularity": "token"}),
    "results": ("1",),
    "samples": ("1",),
    "verdict_changes": ("1",),
    "compare": (["1", "2"],),
    "submit_study": ({},),
    "studies": (),
    "study": ("1",),
    "cancel_study": ("1",),
    "pause_study": ("1",),
    "resume_study": ("1",),
    "delete_study": ("1",),
    "study_events": ("1",),
    "study_verdict": ("1",),
    "study_presets": (),
    "checkpoints": ("1",),
    "checkpoint": ("1", 3),
    "export_checkpoint": ("1", 3, {}),
    "datasets": (),
    "dataset": ("ds-1",),
    "delete_dataset": ("ds-1",),
    "create_webhook": (WebhookSpec(url="https://example.com"),),
    "webhooks": (),
    "webhook": ("w",),
    "patch_webhook": ("w", {}),
    "delete_webhook": ("w",),
    "rotate_webhook_secret": ("w",),
    "test_webhook": ("w",),
    "webhook_deliveries": ("w",),
    "webhook_delivery": ("w", "d"),
    "redeliver": ("w", "d"),
    "create_api_key": (ApiKeyRequest(name="k"),),
    "api_keys": (),
    "api_key": ("k",),
    "revoke_api_key": ("k",),
    "rotate_api_key": ("k",),
    "current_caller": (),
    "metric_catalogue": (),
    "presets": (),
    "models": (),
    "benchmarks": (),
    "check_health": (),
}


def test_there_is_a_call_for_everything_that_rest_has(settings_factory, tmp_path):
    service = ScriptedService()
    file = tmp_path / "rows.jsonl"
    file.touch()

    def ask(call, *arguments):
        # The refusal ends the call as soon as its request is known.
        service.answers.append(problem(404, code="ROUTE_NOT_FOUND", detail=NOTHING))
        with pytest.raises(DriftgateError, match=NOTHING):
            call(*arguments)

    with service.client() as client:
        for name, arguments in CALLS.items():
            ask(getattr(client, name), *arguments)
        ask(lambda: client.sample_plan("1", difference=0.1))
        ask(lambda: next(client.stream_events("1")))
        ask(lambda: next(client.stream_changes()))
        ask(lambda: client.upload_dataset(file))
        ask(lambda: client.download_checkpoint_file("1", 3, "a", tmp_path / "a", sha256=""))
        # What these two ask for first has an answer of its own above.
        ask(lambda: client._fetch("v1/datasets/ds-1/content", tmp_path / "a"))
        ask(lambda: client._fetch("v1/jobs/1/checkpoints/3:archive", tmp_path / "a"))
    asked = {(one.method.lower(), one.url.path.removeprefix("/prefix")) for one in service.requests}
    described = create_app(settings_factory()).openapi()["paths"]
    missing = [
        (method, path)
        for path, methods in described.items()
        for method in methods
        if path != "/metrics"  # Prometheus is its client
        and not any(
            method == given and re.fullmatch(re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(path)), url)
            for given, url in asked
        )
    ]
    assert missing == []


def named(name, **changes):
    return SPEC.model_dump(mode="json") | {"name": name} | changes


def test_jobs_are_filtered_ordered_paged_and_read_in_a_batch(rest_client):
    before = datetime.now(UTC) - timedelta(seconds=5)
    first, second, third = (
        rest_client.submit(named(f"job {number}", labels={"number": str(number)}))
        for number in (1, 2, 3)
    )
    assert list(rest_client.iterate(page_size=1)) == [third, second, first]
    assert next(rest_client.iterate(order_by=JobOrder.OLDEST, page_size=2)) == first
    assert rest_client.list(labels={"number": "2"}).jobs == (second,)
    assert rest_client.list(
        model=SPEC.teacher.model, kinds=[JobKind.DISTILLATION], page_size=1
    ).jobs
    assert rest_client.list(kinds=[JobKind.EVALUATION]).jobs == ()
    assert len(rest_client.list(created_from=before).jobs) == 3
    assert rest_client.list(created_before=before).jobs == ()
    with pytest.raises(ValueError, match="has no time zone"):
        rest_client.list(created_from=datetime(2026, 1, 1))  # noqa: DTZ001 that is the mistake
    batch = rest_client.get_batch([third.id, "0" * 32, first.id])
    assert batch.jobs == (third, first)
    assert batch.missing == ("0" * 32,)


def test_a_job_is_patched_paused_resumed_and_deleted(rest_client):
    submitted = rest_client.submit(SPEC)
    start = rest_client.changes().next_after
    patched = rest_client.patch(submitted.id, labels={"demo": None, "kept": "yes"}, priority=5)
    assert (patched.labels, patched.priority) == ({"kept": "yes"}, 5)
    with pytest.raises(DriftgateError) as conflict:
        rest_client.patch(submitted.id, priority=6, if_version=submitted.version)
    assert conflict.value.code is ErrorCode.VERSION_CONFLICT
    assert rest_client.pause(submitted.id).state is JobState.PAUSED
    assert rest_client.resume(submitted.id).state is JobState.QUEUED
    assert [change.job.id for change in rest_client.changes(after=start).changes] == [submitted.id]

    rest_client.cancel(submitted.id)
    rest_client.delete(submitted.id)
    rest_client.delete(submitted.id)
    assert [change.job for change in rest_client.changes(after=start, wait_s=1).changes] == [None]
    with pytest.raises(DriftgateError, match="JOB_NOT_FOUND"):
        rest_client.get(submitted.id)


def test_a_plan_and_the_catalogues_are_read(rest_client):
    assert rest_client.plan(SPEC).spec == SPEC
    assert rest_client.list().jobs == ()
    assert Metric.LOSS in [metric.name for metric in rest_client.metric_catalogue()]
    assert "builtin/arithmetic-student" in [model.model for model in rest_client.models().models]
    assert "math500" in [benchmark.name for benchmark in rest_client.benchmarks().benchmarks]
    assert "teacher-topk" in [preset.name for preset in rest_client.presets()]


def test_metrics_come_as_columns_with_what_is_not_finite(rest_service, rest_client):
    job_id = rest_client.submit(SPEC).id
    lease = rest_service.claim()
    rest_service.results.append_updates(
        lease, [an_update(1, loss=0.5), an_update(2, loss=float("inf")), an_update(3, loss=0.25)]
    )
    (series,) = rest_client.metrics_query([job_id], [Metric.LOSS], x=MetricX.UPDATE).series
    assert (series.x, series.value) == ((1.0, 2.0, 3.0), (0.5, float("inf"), 0.25))
    latest = rest_client.latest_metrics(job_id).metrics[Metric.LOSS]
    assert (latest.value, latest.update) == (0.25, 3)
    (attempt,) = rest_client.attempts(job_id).attempts
    assert (attempt.number, attempt.worker) == (1, "test")
