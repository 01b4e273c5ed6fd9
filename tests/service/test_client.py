import hashlib
import io
import json
import tarfile
import time
from datetime import UTC, datetime, timedelta
from itertools import islice

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from service.client import Client
from service.client_streams import ServerSentMessage, parse_messages
from service.demo.jobs import demo_specs
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Scope
from service.jobs.api_keys import ApiKeyRequest
from service.jobs.catalog import Metric
from service.jobs.comparisons import Comparison
from service.jobs.job_queries import JobOrder
from service.jobs.metric_queries import MetricX
from service.jobs.results import JobPage, Progress, SamplePage, SamplingInForce, VerdictChanges
from service.jobs.spec import JobKind, JobSpec
from service.jobs.state import JobState
from service.jobs.webhooks import WebhookSpec
from tests.saved_checkpoints import FILES, LOADABLE, WEIGHTS, saved_job
from tests.service.demo.answers import BEFORE, METRICS, evaluation, job, results
from tests.service.running_service import in_background, running_service
from tests.worker_records import an_update

SPEC = demo_specs(7)[2]


class ScriptedService:
    """Answers requests as scripted, (status, body[, headers]) or an error each, and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        content = body.model_dump_json() if isinstance(body, BaseModel) else body
        return httpx.Response(status, content=content, headers=dict(*headers))

    def client(self, **arguments):
        transport = httpx.MockTransport(self)
        arguments = {"retry_for_s": 0} | arguments
        return Client("http://service.test/prefix", transport=transport, **arguments)


def problem(status, **fields):
    return status, json.dumps({"type": "about:blank", "title": "-", "status": status} | fields)


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


def test_a_refusal_is_raised_as_the_error_of_the_service():
    service = ScriptedService(
        problem(
            422,
            code="INVALID_SPEC",
            detail="steps is 0.",
            violations=[{"field": "steps", "given": "0", "allowed": "at least 1"}],
        )
    )
    with service.client() as client, pytest.raises(DriftgateError) as refusal:
        client.submit(SPEC)
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    assert refusal.value.message == "steps is 0."
    assert refusal.value.violations == (Violation("steps", "0", "at least 1"),)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((502, "<html>Bad gateway</html>"), "answered 502 without problem details"),
        ((500, '["not", "an", "object"]'), "answered 500 without problem details"),
        (problem(409, code="FROM_A_LATER_VERSION", detail="No."), "FROM_A_LATER_VERSION: No."),
    ],
)
def test_an_answer_that_names_no_known_code_is_an_internal_error_that_quotes_it(answer, message):
    with (
        ScriptedService(answer).client() as client,
        pytest.raises(DriftgateError, match=message) as refusal,
    ):
        client.get("1")
    assert refusal.value.code is ErrorCode.INTERNAL


def running(step):
    progress = Progress(step=step, total_steps=30, update=4 * step, total_updates=120)
    return job(SPEC, state=JobState.RUNNING, progress=progress)


def test_waiting_ends_with_the_job_and_reports_each_change_once():
    ended = job(SPEC, state=JobState.FAILED)
    answers = [running(1), running(1), running(2), ended]
    seen = []
    with ScriptedService(*((200, answer) for answer in answers)).client() as client:
        assert client.wait("1", poll_s=0, on_change=seen.append) == ended
    assert seen == [running(1), running(2), ended]


def test_waiting_longer_than_wanted_raises():
    with (
        ScriptedService((200, running(1))).client() as client,
        pytest.raises(TimeoutError, match="still running after 0 s"),
    ):
        client.wait("1", poll_s=0, timeout_s=0)


@pytest.fixture
def service(settings_factory, sqlite_url, unused_port):
    settings = settings_factory(
        database_url=sqlite_url, webhook_allow_private=True, change_poll_s=0.02
    )
    with running_service(settings, unused_port) as service:
        yield service


@pytest.fixture
def real_service(service):
    """The address of the REST API on a database of its own; no broker and no worker run."""
    return service.url


@pytest.fixture
def client(service):
    with Client(service.url) as client:
        yield client


def test_the_real_api_takes_and_gives_what_the_client_sends_and_reads(real_service):
    with Client(real_service) as client:
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


def test_refusals_of_the_real_api_are_raised_with_code_and_field(real_service):
    nowhere = SPEC.model_copy(
        update={"student": SPEC.student.model_copy(update={"model": "builtin/none"})}
    )
    with Client(real_service) as client:
        with pytest.raises(DriftgateError) as missing_job:
            client.get("0" * 32)
        with pytest.raises(DriftgateError) as missing_model:
            client.submit(nowhere)
    assert missing_job.value.code is ErrorCode.JOB_NOT_FOUND
    assert missing_model.value.code is ErrorCode.MODEL_NOT_FOUND
    assert missing_model.value.violations[0].field == "student.model"


def named(name, **changes):
    return SPEC.model_dump(mode="json") | {"name": name} | changes


class LosesTheFirstAnswer(httpx.HTTPTransport):
    """The request arrives, its answer does not."""

    def __init__(self):
        super().__init__()
        self.num_requests = 0

    def handle_request(self, request):
        self.num_requests += 1
        response = super().handle_request(request)
        if self.num_requests == 1:
            response.read()
            raise httpx.ReadError("the connection broke")
        return response


def test_a_submission_whose_answer_is_lost_is_sent_again_and_makes_one_job(real_service):
    transport = LosesTheFirstAnswer()
    with Client(real_service, transport=transport) as client:
        job = client.submit(SPEC)
        assert transport.num_requests == 2
        assert client.list().jobs == (job,)
        assert client.submit(SPEC).id != job.id


def test_a_change_of_a_named_version_is_not_sent_twice():
    service = ScriptedService(httpx.ReadError("the connection broke"))
    with service.client(retry_for_s=30) as client, pytest.raises(httpx.ReadError):
        client.patch("1", priority=3, if_version=9)
    (request,) = service.requests
    assert request.headers["if-match"] == '"9"'
    assert json.loads(request.content) == {"priority": 3}


BUSY = (429, problem(429, code="RATE_LIMITED", detail="Too many.")[1], {"Retry-After": "0"})


def test_a_busy_service_is_asked_again_and_one_that_starts_again_too():
    service = ScriptedService(
        BUSY, httpx.ConnectError("refused"), (503, "starting"), (200, job(SPEC))
    )
    with service.client(retry_for_s=30) as client:
        assert client.get("1") == job(SPEC)
    assert len(service.requests) == 4


def test_a_refusal_that_names_a_later_time_than_there_is_patience_for_is_raised_with_it():
    busy = (*BUSY[:2], {"Retry-After": "7"})
    service = ScriptedService(busy)
    with service.client(retry_for_s=5) as client, pytest.raises(DriftgateError) as refusal:
        client.get("1")
    assert (refusal.value.code, refusal.value.retry_after_s) == (ErrorCode.RATE_LIMITED, 7)
    assert len(service.requests) == 1


def test_jobs_are_filtered_ordered_paged_and_read_in_a_batch(client):
    before = datetime.now(UTC) - timedelta(seconds=5)
    first, second, third = (
        client.submit(named(f"job {number}", labels={"number": str(number)}))
        for number in (1, 2, 3)
    )
    assert list(client.iterate(page_size=1)) == [third, second, first]
    assert next(client.iterate(order_by=JobOrder.OLDEST, page_size=2)) == first
    assert client.list(labels={"number": "2"}).jobs == (second,)
    assert client.list(model=SPEC.teacher.model, kinds=[JobKind.DISTILLATION], page_size=1).jobs
    assert client.list(kinds=[JobKind.EVALUATION]).jobs == ()
    assert len(client.list(created_from=before).jobs) == 3
    assert client.list(created_before=before).jobs == ()
    with pytest.raises(ValueError, match="has no time zone"):
        client.list(created_from=datetime(2026, 1, 1))  # noqa: DTZ001 that is the mistake
    batch = client.get_batch([third.id, "0" * 32, first.id])
    assert batch.jobs == (third, first)
    assert batch.missing == ("0" * 32,)


def test_a_job_is_patched_paused_resumed_and_deleted(client):
    submitted = client.submit(SPEC)
    start = client.changes().next_after
    patched = client.patch(submitted.id, labels={"demo": None, "kept": "yes"}, priority=5)
    assert (patched.labels, patched.priority) == ({"kept": "yes"}, 5)
    with pytest.raises(DriftgateError) as conflict:
        client.patch(submitted.id, priority=6, if_version=submitted.version)
    assert conflict.value.code is ErrorCode.VERSION_CONFLICT
    assert client.pause(submitted.id).state is JobState.PAUSED
    assert client.resume(submitted.id).state is JobState.QUEUED
    assert [change.job.id for change in client.changes(after=start).changes] == [submitted.id]

    client.cancel(submitted.id)
    client.delete(submitted.id)
    client.delete(submitted.id)
    assert [change.job for change in client.changes(after=start, wait_s=1).changes] == [None]
    with pytest.raises(DriftgateError, match="JOB_NOT_FOUND"):
        client.get(submitted.id)


def test_a_plan_and_the_catalogues_are_read(client):
    assert client.plan(SPEC).spec == SPEC
    assert client.list().jobs == ()
    assert Metric.LOSS in [metric.name for metric in client.metric_catalogue()]
    assert "teacher-topk" in [preset.name for preset in client.presets()]


def test_metrics_come_as_columns_with_what_is_not_finite(service, client):
    job_id = client.submit(SPEC).id
    lease = service.claim()
    service.results.append_updates(
        lease, [an_update(1, loss=0.5), an_update(2, loss=float("inf")), an_update(3, loss=0.25)]
    )
    (series,) = client.metrics_query([job_id], [Metric.LOSS], x=MetricX.UPDATE).series
    assert (series.x, series.value) == ((1.0, 2.0, 3.0), (0.5, float("inf"), 0.25))
    latest = client.latest_metrics(job_id).metrics[Metric.LOSS]
    assert (latest.value, latest.update) == (0.25, 3)
    (attempt,) = client.attempts(job_id).attempts
    assert (attempt.number, attempt.worker) == (1, "test")


class CountsRequests(httpx.HTTPTransport):
    def __init__(self):
        super().__init__()
        self.num_requests = 0

    def handle_request(self, request):
        self.num_requests += 1
        return super().handle_request(request)


def test_waiting_is_told_of_each_change_when_it_happens_and_asks_no_more_than_that(service):
    transport = CountsRequests()
    with Client(service.url, transport=transport) as client:
        job_id = client.submit(SPEC).id
        seen = []

        def work():
            time.sleep(0.3)
            lease = service.claim()
            time.sleep(1)
            service.finish(lease)

        with in_background(work):
            started = time.monotonic()
            ended = client.wait(job_id, poll_s=0, timeout_s=20, on_change=seen.append)
    assert ended.state is JobState.SUCCEEDED
    assert time.monotonic() - started < 5
    states = [one.state for one in seen]
    assert states[0] is JobState.QUEUED
    assert states[-2:] == [JobState.RUNNING, JobState.SUCCEEDED]
    # The submission, and an answer for each change: a poll every few milliseconds would be hundreds.
    assert transport.num_requests <= 6


def test_waiting_and_streaming_outlast_a_restart_of_the_service(service, client):
    job_id = client.submit(SPEC).id
    lease = service.claim()

    def restart_and_finish():
        time.sleep(0.2)
        service.stop()
        time.sleep(0.2)
        service.start()
        service.finish(lease)

    streamed = []
    with in_background(restart_and_finish):
        streamed += client.stream_events(job_id)
    assert client.wait(job_id, timeout_s=10).state is JobState.SUCCEEDED
    assert streamed == list(client.iterate_events(job_id))
    assert list(client.stream_events(job_id, after=len(streamed) - 1)) == streamed[-1:]
    assert list(client.stream_events(job_id, after=len(streamed))) == []


def test_waiting_for_a_service_that_is_away_ends_with_the_timeout(service, client):
    job_id = client.submit(SPEC).id
    service.stop()
    with pytest.raises(TimeoutError, match=r"does not answer within 0\.3 s"):
        client.wait(job_id, timeout_s=0.3)
    service.start()
    with pytest.raises(TimeoutError, match=r"still queued after 0\.2 s"):
        client.wait(job_id, timeout_s=0.2)


def test_changes_of_all_jobs_are_streamed_from_a_token_on(client):
    token = client.changes().next_after
    first = client.submit(named("one"))
    second = client.submit(named("two"))
    changes = list(islice(client.stream_changes(after=token), 2))
    assert [change.job for change in changes] == [first, second]


def test_messages_of_a_stream_survive_any_cut_and_an_unfinished_one_is_dropped():
    stream = (
        ": heartbeat\n\nretry: 2000\n\nid: 7\r\nevent: told\r\ndata: a\u2028b\r\ndata: c\r\n\r\n"
        "event: end\ndata:{}\n\nid: 8\ndata: cut"
    ).encode()
    expected = [
        ServerSentMessage("told", "7", "a\u2028b\nc".encode()),
        ServerSentMessage("end", None, b"{}"),
    ]
    for size in (1, 2, 7, len(stream)):
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert list(parse_messages(chunks)) == expected


def test_a_problem_set_is_uploaded_read_downloaded_and_deleted(client, tmp_path):
    rows = (
        '{"id": "1", "problem": "1 + 1?", "answer": "2"}\n'
        '{"id": "2", "problem": "2 + 2?", "answer": "4"}\n'
    )
    file = tmp_path / "sums.jsonl"
    file.write_text(rows)
    dataset = client.upload_dataset(file, name="sums")
    assert (dataset.name, dataset.num_problems) == ("sums", 2)
    assert client.upload_dataset(file) == dataset
    assert client.datasets().datasets == (dataset,)
    assert client.download_dataset(dataset.id, tmp_path / "back.jsonl") == dataset
    assert (tmp_path / "back.jsonl").read_text() == rows
    client.delete_dataset(dataset.id)
    with pytest.raises(DriftgateError, match="RESOURCE_NOT_FOUND"):
        client.dataset(dataset.id)
    file.write_text(rows + "no JSON\n")
    with pytest.raises(DriftgateError) as refusal:
        client.upload_dataset(file)
    assert refusal.value.code is ErrorCode.DATASET_INVALID
    assert refusal.value.violations[0].given.startswith("Line 3 ")


def test_an_upload_that_breaks_off_is_sent_again_whole(real_service, tmp_path):
    file = tmp_path / "sums.jsonl"
    file.write_text('{"id": "1", "problem": "1 + 1?", "answer": "2"}\n')
    with Client(real_service, transport=LosesTheFirstAnswer()) as client:
        assert client.upload_dataset(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_checkpoints_are_downloaded_by_file_and_as_an_archive(service, client, tmp_path):
    saved = saved_job(service.database, service.settings)
    content = client.checkpoint(saved.job.id, "final")
    assert content == client.checkpoint(saved.job.id)
    assert [file.name for file in content.files] == sorted(FILES)
    (adapter,) = (file for file in content.files if file.name.startswith("adapter/"))
    client.download_checkpoint_file(
        saved.job.id, 4, adapter.name, tmp_path / "adapter.json", sha256=adapter.sha256
    )
    assert (tmp_path / "adapter.json").read_bytes() == FILES[adapter.name]
    client.download_checkpoint_archive(saved.job.id, 2, tmp_path / "model.tar")
    with tarfile.open(tmp_path / "model.tar") as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert set(LOADABLE) <= set(names)
    assert {path.name for path in tmp_path.iterdir()} >= {"adapter.json", "model.tar"}
    assert not list(tmp_path.glob(".*.part"))


def test_a_download_that_is_not_what_was_saved_leaves_nothing(tmp_path):
    service = ScriptedService((200, b"other bytes"))
    with service.client() as client, pytest.raises(DriftgateError) as refusal:
        client.download_checkpoint_file(
            "1", 4, "a b/c", tmp_path / "c", sha256=hashlib.sha256(WEIGHTS).hexdigest()
        )
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert list(tmp_path.iterdir()) == []
    assert service.requests[0].url.raw_path == b"/prefix/v1/jobs/1/checkpoints/4/files/a%20b/c"


def test_an_archive_that_lacks_a_file_leaves_nothing(service, client, tmp_path):
    saved = saved_job(service.database, service.settings)
    content = client.checkpoint(saved.job.id)
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    scripted = ScriptedService((200, content), (200, empty.getvalue()))
    with scripted.client() as other, pytest.raises(DriftgateError, match="it is missing"):
        other.download_checkpoint_archive(saved.job.id, "latest", tmp_path / "model.tar")
    assert not (tmp_path / "model.tar").exists()


def test_a_checkpoint_is_exported_by_a_job_that_is_made_once(service, client):
    saved = saved_job(service.database, service.settings)
    body = {"destination": {"type": "folder", "path": "students/first"}}
    job = client.export_checkpoint(saved.job.id, "final", body, idempotency_key="once")
    assert job.spec.kind is JobKind.EXPORT
    assert client.export_checkpoint(saved.job.id, "final", body, idempotency_key="once") == job


def test_webhooks_are_made_changed_tried_and_deleted(client):
    made = client.create_webhook(WebhookSpec(url="http://127.0.0.1:9/hook", description="CI"))
    assert made.secret.startswith("whsec_")
    (listed,) = client.webhooks().webhooks
    assert listed == client.webhook(made.id)
    assert client.patch_webhook(made.id, {"description": None}).description is None
    assert client.rotate_webhook_secret(made.id).secret != made.secret
    trial = client.test_webhook(made.id)
    assert client.webhook_deliveries(made.id).deliveries == (trial,)
    assert client.webhook_delivery(made.id, trial.id).payload["type"] == "webhook.test"
    client.delete_webhook(made.id)
    with pytest.raises(DriftgateError, match="RESOURCE_NOT_FOUND"):
        client.webhook(made.id)


def test_api_keys_are_made_rotated_and_revoked(settings_factory, sqlite_url, unused_port):
    settings = settings_factory(
        database_url=sqlite_url, api_key_sha256=(hashlib.sha256(b"first").hexdigest(),)
    )
    with (
        running_service(settings, unused_port) as service,
        Client(service.url, api_key="first") as admin,
    ):
        made = admin.create_api_key(ApiKeyRequest(name="wall display", scope=Scope.READ))
        assert admin.api_keys().api_keys == (admin.api_key(made.api_key.id),)
        with Client(service.url, api_key=made.key) as reader:
            assert reader.current_caller().scope is Scope.READ
            with pytest.raises(DriftgateError, match="PERMISSION_DENIED"):
                reader.submit(SPEC)
        rotated = admin.rotate_api_key(made.api_key.id)
        assert rotated.key != made.key
        admin.revoke_api_key(rotated.api_key.id)
        assert admin.api_key(rotated.api_key.id).revoked_at is not None
        with (
            Client(service.url) as stranger,
            pytest.raises(DriftgateError, match="UNAUTHENTICATED"),
        ):
            stranger.list()
