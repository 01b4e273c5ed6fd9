"""Whose turn it is, on both databases."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from service.jobs.access import Caller, Scope
from service.jobs.capabilities import Capabilities
from service.jobs.spec import JobSpec
from service.storage.fair_claims import _statements
from service.storage.waiting_lanes import lanes_of

LARGE = 80 * 2**30
CPU, GPU = Capabilities("cpu", 2**30), Capabilities("cuda", LARGE)


@pytest.fixture
def create(job_store, spec):
    def make(key="", *, queue="default", device="auto", priority=0, memory_bytes=None):
        of_device = spec.model_dump() | {"compute": {"device": device}, "priority": priority}
        return job_store.create(
            JobSpec.model_validate(of_device),
            warnings=(),
            queue=queue,
            needs_memory_bytes=memory_bytes,
            caller=Caller(key_id=key, scope=Scope.WRITE),
        ).id

    return make


@pytest.fixture
def claim(job_store):
    def take(capabilities=None, *, queue="default", owner="worker"):
        found = job_store.claim(queue=queue, owner=owner, lease_s=60, capabilities=capabilities)
        return found and found.lease.job_id

    return take


def test_keys_take_turns_however_many_jobs_one_of_them_has(create, claim):
    many = [create("a") for _ in range(5)]
    few = [create("b") for _ in range(2)]
    without_key = create()
    assert (
        [claim() for _ in range(8)]
        == [
            many[0],  # all hold none: the oldest
            few[0],
            without_key,
            many[1],
            few[1],
            *many[2:],
        ]
    )
    assert claim() is None


def test_a_key_that_holds_as_many_as_another_has_its_turn_by_age(create, claim):
    first, second = create("a"), create("a")
    other, last = create("b"), create("b")
    assert [claim(), claim()] == [first, other]
    assert claim() == second, "both hold one: the oldest"
    assert claim() == last, "it holds one, the other two"


def test_priority_goes_before_fairness(create, claim):
    create("b")
    urgent = [create("a", priority=1) for _ in range(3)]
    assert [claim() for _ in range(3)] == urgent


def test_a_worker_takes_only_what_its_device_can_compute(create, claim):
    on_gpu, on_cpu, on_any = create(device="cuda"), create(device="cpu"), create(device="auto")
    assert [claim(CPU), claim(CPU), claim(CPU)] == [on_cpu, on_any, None]
    assert [claim(GPU), claim(GPU)] == [on_gpu, None]


def test_a_gpu_worker_takes_jobs_for_the_cpu_whatever_their_memory(create, claim):
    job_id = create(device="cpu", memory_bytes=2 * LARGE)
    assert claim(CPU) is None
    assert claim(GPU) == job_id


def test_a_worker_takes_only_what_fits_or_is_not_known(create, claim):
    too_large = create(memory_bytes=2**30 + 1)
    fits, unknown = create(memory_bytes=2**30), create()
    assert [claim(CPU), claim(CPU), claim(CPU)] == [fits, unknown, None]
    assert claim(Capabilities("cpu", None)) == too_large


def test_one_worker_serves_several_queues_as_one(create, claim):
    first = create("a", queue="slow")
    create("a", queue="other")
    urgent, second = create("b", queue="fast", priority=1), create("a", queue="fast")
    assert [claim(queue=("fast", "slow")) for _ in range(4)] == [urgent, first, second, None]


def test_workers_that_claim_at_once_share_fairly_and_take_no_job_twice(
    create, job_store, monkeypatch
):
    # They wait for each other for as long as a loaded machine needs; by default a little fairness is given up sooner.
    monkeypatch.setattr("service.storage.fair_claims.MAX_LOCK_TRIES", 10_000)
    num_workers = 8
    key_of = {create(key): key for key in ("a", "b") for _ in range(12)}
    barrier = threading.Barrier(num_workers)

    def claim_one(number):
        barrier.wait()
        found = job_store.claim(queue="default", owner=f"worker-{number}", lease_s=60)
        return found.lease.job_id

    with ThreadPoolExecutor(num_workers) as pool:
        claimed = list(pool.map(claim_one, range(num_workers)))
    assert len(set(claimed)) == num_workers
    # Each claim sees those before it: two keys with plenty of jobs get half each.
    assert Counter(key_of[job_id] for job_id in claimed) == {"a": 4, "b": 4}


def test_workers_of_all_kinds_at_once_take_what_they_can_and_leave_nothing(create, job_store):
    needs = {create(device=device): device for device in ("cpu", "cuda", "auto") for _ in range(6)}
    barrier = threading.Barrier(6)

    def claim_all(number):
        capabilities = (CPU, GPU)[number % 2]
        barrier.wait()
        claims = iter(
            lambda: job_store.claim(
                queue="default", owner=f"{number}", lease_s=60, capabilities=capabilities
            ),
            None,
        )
        return [(claim.lease.job_id, capabilities.device) for claim in claims]

    with ThreadPoolExecutor(6) as pool:
        claimed = [pair for pairs in pool.map(claim_all, range(6)) for pair in pairs]
    assert sorted(job_id for job_id, _ in claimed) == sorted(needs)
    assert not [job_id for job_id, device in claimed if (needs[job_id], device) == ("cuda", "cpu")]


def test_a_locked_job_is_passed_and_the_next_of_its_key_is_taken(create, database, job_store):
    if not database.is_postgres:
        pytest.skip("on SQLite a writer waits for the other")
    first, second = create("a"), create("a")
    with database.transaction() as session:
        session.execute(text("SELECT id FROM jobs WHERE id = :id FOR UPDATE"), {"id": first})
        found = job_store.claim(queue="default", owner="worker", lease_s=60)
    assert found.lease.job_id == second


def test_a_claim_that_hangs_holds_no_other_up_for_long(create, database, job_store):
    """A process that was stopped in the middle of a claim keeps its lock."""
    if not database.is_postgres:
        pytest.skip("SQLite has one writer at a time")
    job_id = create()
    with database.transaction() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(7215532)"))
        assert job_store.claim(queue="default", owner="worker", lease_s=60).lease.job_id == job_id


def test_no_step_of_a_claim_looks_through_the_table(database):
    """SQLite says beforehand how it will go; PostgreSQL chooses by the size of the table."""
    if database.is_postgres:
        pytest.skip("small tables are scanned there")
    statement = _statements(lanes_of(("default",), GPU)).groups_in_turn
    compiled = statement.params({"priority": 0}).compile(
        dialect=database._engine.dialect, compile_kwargs={"literal_binds": True}
    )
    with database.read() as session:
        plan = [row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
    looks = [line for line in plan if "jobs" in line]
    assert looks
    assert all(line.startswith("SEARCH") and "INDEX" in line for line in looks), plan
