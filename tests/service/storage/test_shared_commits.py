"""Submissions on SQLite, which share transactions while they wait for each other."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import make_url

from service.errors import DriftgateError, ErrorCode
from service.storage import engines
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.storage.shared_commits import SharedCommits
from tests.worker.small_jobs import small_job

Write = Callable[[list[str]], str]


class Ledger:
    """Keeps what was committed, and how often a transaction began."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.num_begun = 0
        self.is_away = False
        self.commits = SharedCommits(self.transaction)

    @contextmanager
    def transaction(self) -> Iterator[list[str]]:
        self.num_begun += 1
        if self.is_away:
            raise DriftgateError(ErrorCode.DATABASE_UNAVAILABLE, "away")
        rows = list(self.rows)
        yield rows
        self.rows = rows


def adds(row: str) -> Write:
    def add(rows: list[str]) -> str:
        rows.append(row)
        return f"added {row}"

    return add


def fails(rows: list[str]) -> str:
    rows.append("broken")
    raise ValueError("broken")


@pytest.fixture
def behind_another(wait_until) -> Callable[..., list[Future[str]]]:
    """What became of writes that came, in this order, while another was being made."""

    def behind(
        ledger: Ledger, writes: list[Write], *, meanwhile: Callable[[], object] = lambda: None
    ) -> list[Future[str]]:
        waiting = ledger.commits._queue
        is_let_go = threading.Event()

        def add_when_let_go(rows: list[str]) -> str:
            assert is_let_go.wait(timeout=60)
            return adds("first")(rows)

        with ThreadPoolExecutor(len(writes) + 1) as threads:
            threads.submit(ledger.commits.write, add_when_let_go)
            wait_until(lambda: len(waiting) == 1)
            ended = []
            for position, write in enumerate(writes):
                ended.append(threads.submit(ledger.commits.write, write))
                wait_until(lambda num_before=position + 1: len(waiting) > num_before)
            meanwhile()
            is_let_go.set()
        return ended

    return behind


def test_writes_that_wait_for_another_are_committed_together_and_in_order(behind_another):
    ledger = Ledger()
    ended = behind_another(ledger, [adds("a"), adds("b"), adds("c")])
    assert [write.result() for write in ended] == ["added a", "added b", "added c"]
    assert ledger.rows == ["first", "a", "b", "c"]
    assert ledger.num_begun == 2


def test_a_write_that_fails_fails_alone(behind_another):
    ledger = Ledger()
    added, failed, added_too = behind_another(ledger, [adds("a"), fails, adds("b")])
    assert (added.result(), added_too.result()) == ("added a", "added b")
    assert isinstance(failed.exception(), ValueError)
    assert ledger.rows == ["first", "a", "b"]
    with pytest.raises(ValueError, match="broken"):
        ledger.commits.write(fails)
    assert ledger.commits.write(adds("c")) == "added c"
    assert ledger.rows == ["first", "a", "b", "c"]


def test_all_that_wait_are_told_at_once_that_the_database_is_away(behind_another):
    ledger = Ledger()

    def go_away() -> None:
        ledger.is_away = True

    ended = behind_another(ledger, [adds("a"), adds("b")], meanwhile=go_away)
    assert all(isinstance(write.exception(), DriftgateError) for write in ended)
    assert ledger.num_begun == 2
    ledger.is_away = False
    assert ledger.commits.write(adds("c")) == "added c"
    assert ledger.rows == ["first", "c"]


def test_submissions_while_another_process_writes_are_refused_and_then_all_made(
    sqlite_url, monkeypatch
):
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.05)
    database = Database(sqlite_url)
    jobs = JobStore(database)

    def submit(number: int) -> str:
        key = f"key {number % 4}"
        spec = small_job(name=key)
        return jobs.create(spec, warnings=(), queue="default", idempotency_key=key).id

    writer = sqlite3.connect(make_url(sqlite_url).database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(8) as threads:
        refused = [threads.submit(submit, number) for number in range(8)]
        assert {write.exception().code for write in refused} == {ErrorCode.DATABASE_UNAVAILABLE}
        writer.execute("COMMIT")
        monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 30)
        ids = list(threads.map(submit, range(8)))
    assert ids[:4] == ids[4:]
    assert len(set(ids)) == 4
    assert [job.name for job in map(jobs.get, ids[:4])] == [f"key {number}" for number in range(4)]
    writer.close()
    database.close()
