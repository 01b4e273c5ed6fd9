import json
import threading

import httpx
import pytest
import uvicorn
from pydantic import ValidationError

from service.client import Client
from service.demo.jobs import demo_specs
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.comparisons import Comparison
from service.jobs.results import JobPage, Progress, SamplePage, SamplingInForce, VerdictChanges
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.rest.app import create_app
from tests.service.demo.answers import BEFORE, METRICS, evaluation, job, results

SPEC = demo_specs(7)[2]


class ScriptedService:
    """Answers requests with the scripted (status, body) pairs in their order and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        status, body = self.answers.pop(0)
        content = body if isinstance(body, str) else body.model_dump_json()
        return httpx.Response(status, text=content)

    def client(self, **arguments):
        transport = httpx.MockTransport(self)
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
def real_service(settings_factory, sqlite_url, unused_port, wait_until):
    """The address of the REST API on a database of its own; no broker and no worker run."""
    app = create_app(settings_factory(database_url=sqlite_url))
    server = uvicorn.Server(uvicorn.Config(app, port=unused_port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{unused_port}"
    server.should_exit = True
    thread.join(timeout=10)


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
