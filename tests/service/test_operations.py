from contextlib import closing

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.operations import build_operations, parse_spec
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from service.task_queue import Doorbell, celery_app
from tests.worker_records import a_batch, a_sample, an_evaluation_record, an_outcome

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 20}},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128},
}


@pytest.fixture
def settings(settings_factory, sqlite_url, redis_url):
    return settings_factory(database_url=sqlite_url, broker_url=redis_url, queue="a-queue")


@pytest.fixture
def operations(settings):
    operations = build_operations(settings)
    yield operations
    operations.close()


def test_a_job_is_rung_for_in_the_queue_of_the_settings(operations, settings, wait_until):
    job = operations.submit_job(parse_spec(SPEC))
    assert operations.list_jobs().jobs == (job,)
    queue = Doorbell(celery_app(settings))
    wait_until(lambda: queue.num_waiting("a-queue") == 1)


def test_a_refused_spec_is_neither_stored_nor_rung_for(operations, settings):
    spec = parse_spec(SPEC | {"teacher": {"model": "../../etc"}})
    with pytest.raises(DriftgateError) as caught:
        operations.submit_job(spec)
    assert caught.value.code is ErrorCode.MODEL_OUTSIDE_ROOT
    assert operations.list_jobs().jobs == ()
    operations.close()
    assert Doorbell(celery_app(settings)).num_waiting("a-queue") == 0


def test_a_retried_request_gets_its_job_though_its_file_is_gone(operations, settings):
    prompts = settings.resolved_dataset_root() / "prompts.jsonl"
    prompts.parent.mkdir(parents=True)
    prompts.write_text('{"problem": "1+1"}\n')
    source = {"problems": {"source": "file", "path": "prompts.jsonl"}}
    spec = parse_spec(SPEC | {"prompts": source})
    job = operations.submit_job(spec, idempotency_key="once")
    prompts.unlink()

    assert operations.submit_job(spec, idempotency_key="once") == job
    with pytest.raises(DriftgateError) as caught:
        operations.submit_job(parse_spec(SPEC), idempotency_key="once")
    assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT
    with pytest.raises(DriftgateError) as caught:
        operations.submit_job(spec, idempotency_key="another")
    assert caught.value.code is ErrorCode.DATASET_NOT_FOUND


def test_a_spec_can_be_checked_without_being_submitted(operations):
    plan = operations.plan_job(parse_spec(SPEC | {"gate": {"block_size": 128}}))
    assert "gate.block_size" in [warning.field for warning in plan.warnings]
    assert operations.list_jobs().jobs == ()


@pytest.mark.parametrize("request_name", ["submit_job", "plan_job"])
def test_a_warm_start_from_a_job_that_is_not_there_is_refused(operations, request_name):
    spec = parse_spec(SPEC | {"warm_start": {"job_id": "0199"}})
    with pytest.raises(DriftgateError, match="0199") as caught:
        getattr(operations, request_name)(spec)
    assert caught.value.code is ErrorCode.INVALID_SPEC
    assert caught.value.violations[0].field == "warm_start.job_id"
    assert operations.list_jobs().jobs == ()


def succeeded(operations, sqlite_url, spec):
    job = operations.submit_job(spec)
    with closing(Database(sqlite_url)) as database:
        store = JobStore(database)
        lease = store.claim(queue="a-queue", owner="worker", lease_s=60).lease
        store.start_running(lease)
        store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    return job


def test_a_plan_reads_ten_finished_jobs_at_a_time_until_one_gives_its_rate(operations, sqlite_url):
    asked = []

    @event.listens_for(operations._job_store._database._engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, *_rest):
        asked.extend([parameters] * ("LIMIT" in statement))

    spec, other = parse_spec(SPEC), parse_spec(SPEC | {"compute": {"dtype": "bfloat16"}})
    job = succeeded(operations, sqlite_url, spec)
    for num_newer, num_pages in ((9, 1), (1, 2)):
        for _ in range(num_newer):
            succeeded(operations, sqlite_url, other)
        asked.clear()
        assert operations.plan_job(spec).time.rate_source == f"job {job.id}"
        assert [JobState.SUCCEEDED in each and 11 in each for each in asked] == [True] * num_pages


def test_a_plan_takes_its_rate_from_the_setting_else_from_a_finished_job(
    operations, settings, sqlite_url
):
    spec = parse_spec(SPEC)
    assert operations.plan_job(spec).time is None

    job = succeeded(operations, sqlite_url, spec)

    assert operations.plan_job(spec).time.rate_source == f"job {job.id}"
    settings = settings.model_copy(update={"device_flops": 1e12})
    with closing(build_operations(settings)) as others:
        assert others.plan_job(spec).time.flops_per_second == 1e12


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_bounded_size(operations, limit):
    with pytest.raises(DriftgateError) as caught:
        operations.list_jobs(limit=limit)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert caught.value.violations[0].allowed == "1 to 1000"


@pytest.fixture
def evaluated_ids(operations, sqlite_url):
    """Of two jobs, each with the samples of a final evaluation."""
    job_ids = [operations.submit_job(parse_spec(SPEC)).id for _ in range(2)]
    with closing(Database(sqlite_url)) as database:
        for _ in job_ids:
            lease = JobStore(database).claim(queue="a-queue", owner="worker", lease_s=60).lease
            samples = [a_sample(i, j) for i in range(3) for j in range(4)]
            ResultStore(database).record_samples(lease, a_batch("final", samples))
            problems = [an_outcome(f"p{i}", n=4, c=4) for i in range(3)]
            ResultStore(database).record_evaluation(lease, an_evaluation_record("final", problems))
    return job_ids


@pytest.fixture
def statements():
    """The SQL that is sent from here on."""
    sent = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


def test_jobs_are_compared_and_planned_for_without_a_look_at_their_samples(
    operations, evaluated_ids, statements
):
    comparison = operations.compare_jobs(evaluated_ids, k=1)
    plan = operations.plan_more_samples(evaluated_ids[0], difference=0.1, k=1)
    assert [pair.comparable for pair in comparison.pairs] == [True]
    assert plan.stage == "final"
    assert any("evaluation_problems" in statement for statement in statements)
    assert not any("evaluation_samples" in statement for statement in statements)
