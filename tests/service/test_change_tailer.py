import asyncio
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import event as sql_event

from service.change_tailer import ChangeTailer
from service.errors import DriftgateError, ErrorCode
from service.jobs.records import AttemptEvent
from service.jobs.spec import EvaluationJobSpec
from service.jobs.state import JobState
from service.storage.job_store import JobStore
from service.stream_subscriptions import StreamEnd

POLL_S = 0.05
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def database_url(request):
    return request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")


@pytest.fixture
def job_store(database):
    return JobStore(database)


@pytest.fixture
def tailer(job_store):
    tailer = ChangeTailer(job_store, poll_s=POLL_S, heartbeat_s=30)
    yield tailer
    tailer.close()


@pytest.fixture
def submit(job_store):
    spec = EvaluationJobSpec.model_validate(
        {
            "kind": "evaluation",
            "model": {"model": "builtin/arithmetic-teacher"},
            "max_prompt_tokens": 64,
            "evaluation": {
                "benchmarks": [
                    {"name": "sums", "problems": {"source": "arithmetic", "num_problems": 2}}
                ],
                "max_response_tokens": 64,
            },
        }
    )
    return lambda: job_store.create(spec, warnings=(), queue="default").id


@pytest.fixture
def run(job_store):
    """Claims the oldest waiting job, adds so many events, and ends it."""

    def run(num_events=0):
        lease = job_store.claim(queue="default", owner="a worker", lease_s=60).lease
        for number in range(num_events):
            job_store.add_event(lease, AttemptEvent(type="note", message=f"Note {number}."))
        job_store.start_running(lease)
        job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")

    return run


async def read_all(subscription):
    async with subscription:
        return [each async for batch in subscription for each in batch]


async def wait_for(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 the condition is another thread's
            await asyncio.sleep(0.01)


@ON_BOTH
def test_a_stream_tells_what_was_and_what_comes_and_ends_with_the_job(
    job_store, tailer, submit, run, wait_until
):
    job_id = submit()

    async def follow():
        reading = asyncio.create_task(read_all(tailer.subscribe(job_id)))
        await asyncio.sleep(3 * POLL_S)
        await asyncio.to_thread(run, 3)
        return await reading

    assert asyncio.run(follow()) == list(job_store.events(job_id).events)
    assert tailer.num_followers == 0
    wait_until(lambda: tailer.is_idle)


def test_a_stream_goes_on_after_the_seq_that_it_names(job_store, tailer, submit, run):
    job_id = submit()
    run(5)

    events = asyncio.run(read_all(tailer.subscribe(job_id, after_seq=3)))

    assert events == list(job_store.events(job_id, after=3).events)


@pytest.mark.parametrize("after_seq", [0, 1])
def test_a_job_that_has_ended_ends_the_stream_at_once(job_store, tailer, submit, after_seq):
    job_id = submit()
    job_store.request_cancel(job_id)
    subscription = tailer.subscribe(job_id, after_seq=after_seq)

    events = asyncio.run(read_all(subscription))

    assert [event.seq for event in events] == [1, 2][after_seq:]
    assert subscription.end is StreamEnd.JOB_ENDED


def test_a_slow_reader_loses_nothing_and_is_told_nothing_twice(job_store, tailer, submit, run):
    """130 notes are more than a batch holds, and are all there before the reader comes back."""
    job_id = submit()

    async def follow():
        seqs = []
        async with tailer.subscribe(job_id) as subscription:
            async for events in subscription:
                if not seqs:
                    await asyncio.to_thread(run, 130)
                await asyncio.sleep(2 * POLL_S)
                seqs += [event.seq for event in events]
        return seqs

    # Submitted, claimed, 130 notes, running, done.
    assert asyncio.run(follow()) == list(range(1, 135))


@ON_BOTH
def test_readers_of_one_job_at_different_places_each_get_their_own(job_store, tailer, submit, run):
    job_id = submit()
    run(120)

    async def follow():
        return await asyncio.gather(
            *(read_all(tailer.subscribe(job_id, after_seq=after)) for after in range(0, 120, 10))
        )

    for after, events in zip(range(0, 120, 10), asyncio.run(follow()), strict=True):
        assert [event.seq for event in events] == list(range(after + 1, 125))


@ON_BOTH
def test_a_stream_of_a_job_that_is_deleted_ends(job_store, tailer, submit):
    job_id = submit()

    async def follow():
        async with tailer.subscribe(job_id) as subscription:
            await anext(subscription)
            job_store.request_cancel(job_id)
            job_store.delete(job_id)
            rest = [events async for events in subscription]
            return rest, subscription.end

    rest, end = asyncio.run(follow())
    assert (rest, end) in (([], StreamEnd.JOB_DELETED), (rest[:1], StreamEnd.JOB_ENDED))


def test_a_stream_of_no_job_ends(tailer):
    subscription = tailer.subscribe("0" * 32)
    assert asyncio.run(read_all(subscription)) == []
    assert subscription.end is StreamEnd.JOB_DELETED


def test_a_heartbeat_is_due_where_nothing_happens(job_store, submit):
    tailer = ChangeTailer(job_store, poll_s=POLL_S, heartbeat_s=0.1)
    job_id = submit()

    async def follow():
        async with tailer.subscribe(job_id) as subscription:
            return [await anext(subscription) for _ in range(3)]

    first, *rest = asyncio.run(follow())
    tailer.close()
    assert [event.seq for event in first] == [1]
    assert rest == [(), ()]


def test_a_wait_is_over_as_soon_as_the_job_changes(job_store, tailer, submit):
    job_id = submit()

    async def wait():
        waiting = asyncio.create_task(tailer.wait_for_version(job_id, other_than=1, timeout_s=20))
        await asyncio.sleep(2 * POLL_S)
        assert not waiting.done()
        job_store.request_pause(job_id)
        async with asyncio.timeout(5):
            return await waiting

    assert asyncio.run(wait()) is True


def test_a_wait_in_vain_takes_its_time_and_no_more(tailer, submit):
    job_id = submit()
    started_at = time.monotonic()

    changed = asyncio.run(tailer.wait_for_version(job_id, other_than=1, timeout_s=0.2))

    assert changed is False
    assert 0.2 <= time.monotonic() - started_at < 2


def test_a_wait_for_the_end_lets_other_changes_pass(job_store, tailer, submit):
    job_id = submit()

    async def wait():
        waiting = asyncio.create_task(tailer.wait_for_end(job_id, timeout_s=20))
        job_store.request_pause(job_id)
        await asyncio.sleep(3 * POLL_S)
        assert not waiting.done()
        job_store.request_cancel(job_id)
        return await waiting

    assert asyncio.run(wait()) is True


def test_a_wait_for_what_has_happened_is_over_before_the_next_round(job_store, submit):
    tailer = ChangeTailer(job_store, poll_s=60, heartbeat_s=60)
    job_id = submit()
    job_store.request_cancel(job_id)

    async def wait():
        async with asyncio.timeout(5):
            return (
                await tailer.wait_for_end(job_id, timeout_s=60),
                await tailer.wait_for_version("0" * 32, other_than=1, timeout_s=60),
            )

    assert asyncio.run(wait()) == (True, True)
    tailer.close()


@ON_BOTH
def test_the_feed_tells_each_change_with_its_place(job_store, tailer, submit):
    token = job_store.changes(after=None, limit=1).next_after

    async def follow():
        async with tailer.subscribe_to_changes(token) as subscription:
            first, second = submit(), submit()
            changes = []
            while len(changes) < 2:
                changes += await anext(subscription)
            job_store.request_cancel(first)
            job_store.delete(first)
            changes += await anext(subscription)
            return first, second, changes

    first, second, changes = asyncio.run(follow())
    assert [each.change.job_id for each in changes[:2]] == [first, second]
    assert changes[-1].change.job_id == first
    after_second = job_store.changes(after=changes[1].token, limit=10)
    assert [each.job_id for each in after_second.changes] == [first]
    assert after_second.changes[0].job is None


@ON_BOTH
def test_followers_of_the_feed_at_any_place_each_get_what_follows_it(job_store, tailer, submit):
    """150 changes are more than one page."""
    ids = [submit() for _ in range(150)]
    job_store_feed = job_store.feed(after=(0, ""), limit=1000)
    tokens = [each.token for each in job_store_feed][::10]

    async def follow(token):
        seen = []
        async with tailer.subscribe_to_changes(token) as subscription:
            while not seen or seen[-1] != ids[-1]:
                seen += [each.change.job_id for each in await anext(subscription)]
        return seen

    async def follow_all():
        async with asyncio.timeout(20):
            return await asyncio.gather(*(follow(token) for token in tokens))

    assert asyncio.run(follow_all()) == [ids[place + 1 :] for place in range(0, 150, 10)]


def test_a_wait_for_a_change_is_over_with_the_next_one(job_store, tailer, submit):
    token = job_store.changes(after=None, limit=1).next_after

    async def wait():
        in_vain = await tailer.wait_for_change(token, timeout_s=3 * POLL_S)
        waiting = asyncio.create_task(tailer.wait_for_change(token, timeout_s=20))
        submit()
        return in_vain, await waiting

    assert asyncio.run(wait()) == (False, True)


def test_a_foreign_token_of_the_feed_is_refused(tailer):
    with pytest.raises(DriftgateError) as caught:
        tailer.subscribe_to_changes("WzEsIDJd")
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT


def test_closing_ends_streams_and_waits_and_refuses_new_ones(tailer, submit):
    job_id = submit()

    async def follow():
        subscription = tailer.subscribe(job_id, after_seq=1)
        waits = asyncio.gather(
            read_all(subscription),
            tailer.wait_for_version(job_id, other_than=1, timeout_s=30),
            tailer.wait_for_change(token, timeout_s=30),
        )
        await wait_for(lambda: tailer.num_followers == 3)
        await asyncio.to_thread(tailer.close)
        async with asyncio.timeout(5):
            outcomes = await waits
            late = tailer.subscribe(job_id)
            return outcomes, subscription.end, await read_all(late), late.end

    token = tailer._job_store.changes(after=None, limit=1).next_after
    stops = StreamEnd.SERVER_STOPS
    assert asyncio.run(follow()) == ([[], False, False], stops, [], stops)
    assert tailer.is_idle


def test_two_event_loops_share_one_thread(job_store, tailer, submit, run):
    job_id = submit()
    results = {}

    def follow(name):
        results[name] = asyncio.run(read_all(tailer.subscribe(job_id)))

    threads = [threading.Thread(target=follow, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    run(2)
    for thread in threads:
        thread.join(timeout=10)
    expected = list(job_store.events(job_id).events)
    assert results == {"a": expected, "b": expected}


def test_a_loop_that_was_closed_is_forgotten(tailer, submit, wait_until):
    job_id = submit()

    async def leave_open():
        subscription = tailer.subscribe(job_id)
        await subscription.__aenter__()
        tailer._ask(subscription)

    asyncio.run(leave_open())
    wait_until(lambda: tailer.is_idle)


@ON_BOTH
def test_what_a_hundred_streams_ask_of_the_database_does_not_grow_with_them(
    database, tailer, submit
):
    job_ids = [submit() for _ in range(20)]

    async def follow():
        streams = [
            asyncio.create_task(read_all(tailer.subscribe(job_ids[number % 20], after_seq=1)))
            for number in range(100)
        ]
        await asyncio.sleep(4 * POLL_S)
        with counted_statements(database) as statements:
            await asyncio.sleep(10 * POLL_S)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        return len(statements)

    # One statement a round and, where time is lost, fewer rounds.
    assert 1 <= asyncio.run(follow()) <= 12
    assert tailer.num_followers == 0


@ON_POSTGRES
def test_streams_wait_for_a_database_that_is_away(
    postgres_server, database, job_store, tailer, submit, run
):
    job_id = submit()
    name = database._engine.url.database

    def execute(statement):
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(statement)

    def take_away():
        execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    async def follow():
        async with tailer.subscribe(job_id) as subscription:
            first = await anext(subscription)
            await asyncio.to_thread(take_away)
            await asyncio.sleep(5 * POLL_S)
            await asyncio.to_thread(execute, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            database.close()  # the writer is another process, which sees no old connection
            await asyncio.to_thread(run)
            return [*first, *[each async for events in subscription for each in events]]

    assert asyncio.run(follow()) == list(job_store.events(job_id).events)


@contextmanager
def counted_statements(database):
    statements = []

    def count(_connection, _cursor, statement, *_rest):
        if "jobs" in statement:
            statements.append(statement)

    # On PostgreSQL single statements have an engine of their own.
    engines = [database._engine, *([database._single] if database.is_postgres else [])]
    for engine in engines:
        sql_event.listen(engine, "before_cursor_execute", count)
    yield statements
    for engine in engines:
        sql_event.remove(engine, "before_cursor_execute", count)
