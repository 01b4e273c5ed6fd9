"""Filters, orders and pages of jobs."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from service.errors import DriftgateError, ErrorCode
from service.jobs.job_queries import JobFilter, JobOrder
from service.jobs.parsing import parse_spec
from service.jobs.spec import JobKind
from service.jobs.state import JobState
from service.storage.job_lists import job_list


@pytest.fixture
def jobs(job_store, spec):
    """Five jobs, oldest first: distillations labelled a, b, a; an evaluation; a regrade."""
    model = {"model": "Qwen/Qwen3-0.6B"}
    benchmarks = [{"name": "digits", "problems": {"source": "arithmetic"}}]
    specs = [
        *(spec.model_copy(update={"labels": {"team": team}}) for team in "aba"),
        parse_spec(
            {"kind": "evaluation", "model": model, "evaluation": {"benchmarks": benchmarks}}
        ),
        parse_spec({"kind": "regrade", "job_id": "0199"}),
    ]
    return [job_store.create(one, warnings=(), queue="default") for one in specs]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (JobFilter(), [4, 3, 2, 1, 0]),
        (JobFilter(labels={"team": "a"}), [2, 0]),
        (JobFilter(labels={"team": "a", "x": "y"}), []),
        (JobFilter(kinds=(JobKind.REGRADE, JobKind.EVALUATION)), [4, 3]),
        (JobFilter(kinds=tuple(JobKind)), [4, 3, 2, 1, 0]),
        (JobFilter(model="Qwen/Qwen3-0.6B"), [3]),
        (JobFilter(model="builtin/arithmetic-teacher"), [2, 1, 0]),
    ],
)
def test_a_filter_keeps_what_it_names(job_store, jobs, wanted, numbers):
    page = job_store.list_jobs(limit=9, wanted=wanted)
    assert [job.id for job in page.jobs] == [jobs[number].id for number in numbers]


def test_times_bound_a_list_from_one_and_before_the_other(job_store, jobs):
    wanted = JobFilter(created_from=jobs[1].created_at, created_before=jobs[3].created_at)
    page = job_store.list_jobs(limit=9, wanted=wanted)
    assert [job.id for job in page.jobs] == [jobs[2].id, jobs[1].id]
    later = jobs[4].created_at + timedelta(seconds=1)
    assert job_store.list_jobs(limit=9, wanted=JobFilter(created_from=later)).jobs == ()


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        (JobOrder.NEWEST, [4, 3, 2, 1, 0]),
        (JobOrder.OLDEST, [0, 1, 2, 3, 4]),
        (JobOrder.CHANGED_LAST, [1, 4, 3, 2, 0]),
    ],
)
def test_pages_of_every_order_hold_every_job_once(job_store, jobs, order, numbers):
    job_store.patch(jobs[1].id, labels={"changed": "yes"})
    ids, token = [], None
    for _ in range(3):
        page = job_store.list_jobs(limit=2, page_token=token, order=order)
        ids += [job.id for job in page.jobs]
        token = page.next_page_token
    assert token is None
    assert ids == [jobs[number].id for number in numbers]


def test_a_page_ends_before_more_than_16_mi_characters_of_specs(job_store, spec_with_problems):
    """5 and 8 Mi fit and 4 more do not, then 4 and 13 do not, and one that alone is too long stands alone."""
    ids = [
        job_store.create(spec_with_problems(16 * num_mi), warnings=(), queue="default").id
        for num_mi in (5, 8, 4, 13, 17, 0)
    ]
    pages, token = [], None
    for _ in range(5):
        page = job_store.list_jobs(limit=9, page_token=token, order=JobOrder.OLDEST)
        pages.append([job.id for job in page.jobs])
        token = page.next_page_token
    assert token is None
    assert pages == [ids[:2], ids[2:3], ids[3:4], ids[4:5], ids[5:]]


def test_a_job_of_a_long_spec_is_listed_whole(job_store, spec_with_problems):
    jobs = [
        job_store.create(spec_with_problems(num_problems), warnings=(), queue="default")
        for num_problems in (0, 1, 0)
    ]
    assert job_store.list_jobs(limit=3, order=JobOrder.OLDEST).jobs == tuple(jobs)


def test_a_page_token_of_another_list_is_refused(job_store, jobs):
    token = job_store.list_jobs(limit=1).next_page_token
    with pytest.raises(DriftgateError, match="page_token") as caught:
        job_store.list_jobs(limit=1, page_token=token, wanted=JobFilter(labels={"team": "a"}))
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    with pytest.raises(DriftgateError, match="page_token"):
        job_store.list_jobs(limit=1, page_token=token, order=JobOrder.OLDEST)


def test_a_batch_is_in_the_order_asked_for_and_names_what_is_missing(job_store, jobs):
    ids = [jobs[2].id, "0" * 32, jobs[0].id, "a\x00b"]
    batch = job_store.get_batch(ids)
    assert batch.jobs == (jobs[2], jobs[0])
    assert batch.missing == ("0" * 32, "a\x00b")


@pytest.mark.parametrize("order", [JobOrder.NEWEST, JobOrder.OLDEST])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (JobFilter(), "ix_jobs_created_at_id"),
        (JobFilter(kinds=(JobKind.EXPORT,)), "ix_jobs_kind_created_at_id"),
        (JobFilter(kinds=(JobKind.EXPORT, JobKind.REGRADE)), "ix_jobs_created_at_id"),
        (JobFilter(states=(JobState.SUCCEEDED,)), "ix_jobs_state_created_at_id"),
    ],
)
def test_a_page_is_read_in_the_order_of_an_index(database, wanted, index, order):
    """SQLite says beforehand how it will go; PostgreSQL chooses by the size of the table."""
    if database.is_postgres:
        pytest.skip("small tables are scanned there")
    compiled = job_list(wanted, order, token=None).compile(
        dialect=database._engine.dialect, compile_kwargs={"literal_binds": True}
    )
    with database.read() as session:
        plan = [row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
    assert [index in step for step in plan] == [True], plan
