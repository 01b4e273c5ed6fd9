import json
import random
import threading
import time
from base64 import urlsafe_b64encode

import pytest
from sqlalchemy import update

from service.errors import DriftgateError, ErrorCode
from service.storage.change_feed import LAST_ID
from service.storage.sessions import Database
from service.storage.state_moves import grown
from service.storage.tables import JobRow


@pytest.fixture
def submit(job_store, spec):
    return lambda: job_store.create(spec, warnings=(), queue="default").id


@pytest.fixture
def token(job_store):
    return job_store.changes(after=None, limit=1).next_after


def ids_of(changes):
    return [each.job_id for each in changes.changes]


def test_nothing_follows_the_token_of_now(job_store, submit):
    submit()
    now = job_store.changes(after=None, limit=10)
    assert now.changes == ()
    assert job_store.changes(after=now.next_after, limit=10) == now


def test_a_job_that_changed_twice_is_there_once_at_its_last_change(job_store, submit, token):
    first, second = submit(), submit()
    job_store.request_pause(first)

    changes = job_store.changes(after=token, limit=10)

    assert ids_of(changes) == [second, first]
    assert changes.changes[1].job == job_store.get(first)


def test_pages_cut_the_feed_without_gap_and_double(job_store, submit, token):
    ids = [submit() for _ in range(7)]
    job_store.request_cancel(ids[2])
    job_store.delete(ids[2])

    seen = []
    while (page := job_store.changes(after=token, limit=3)).changes:
        seen += ids_of(page)
        token = page.next_after

    assert seen == ids[:2] + ids[3:] + [ids[2]]


def test_a_page_ends_before_more_than_16_mi_characters_of_specs(
    job_store, spec_with_problems, token
):
    ids = [
        job_store.create(spec_with_problems(16 * num_mi), warnings=(), queue="default").id
        for num_mi in (0, 9, 8, 17, 0)
    ]
    job_store.request_cancel(ids[1])
    pages = []
    while (page := job_store.changes(after=token, limit=9)).changes:
        pages.append(ids_of(page))
        token = page.next_after
    assert pages == [[ids[0], ids[2]], [ids[3]], [ids[4], ids[1]]]


def test_the_newest_change_is_beyond_every_token_that_something_follows(job_store, submit, token):
    before = job_store.newest_change()
    submit()
    first = job_store.feed(after=before, limit=10)
    assert job_store.newest_change() == first[-1].place > before


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "nonsense",
        urlsafe_b64encode(b"[1]").decode(),
        urlsafe_b64encode(b'[-1, "g"]').decode(),
        urlsafe_b64encode(b'[1, "\\u0000"]').decode(),
        urlsafe_b64encode(b'[1, "\\ud800"]').decode(),
        urlsafe_b64encode(json.dumps([2**70, LAST_ID]).encode()).decode(),
    ],
)
def test_a_foreign_token_is_refused(job_store, foreign):
    with pytest.raises(DriftgateError) as caught:
        job_store.changes(after=foreign, limit=1)
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert caught.value.violations[0].field == "after"


def test_a_token_of_a_database_that_went_further_is_refused(job_store, submit):
    """After a backup was put back its numbers come again, and would pass unseen."""
    submit()
    seq, _ = job_store.newest_change()
    future = urlsafe_b64encode(json.dumps([seq + 1000, LAST_ID]).encode()).decode()
    with pytest.raises(DriftgateError, match="list the jobs"):
        job_store.changes(after=future, limit=1)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_reader_misses_nothing_of_writers_that_commit_out_of_order(
    database, database_url, job_store, submit, token
):
    """Each writer takes its number early and commits after a random while."""
    ids = [submit() for _ in range(40)]
    writers = [
        threading.Thread(target=change_each, args=(database_url, ids[number::8], number))
        for number in range(8)
    ]
    for writer in writers:
        writer.start()
    versions_seen = {}
    while any(writer.is_alive() for writer in writers):
        token = take_page(job_store, token, versions_seen)
    for _ in range(20):
        token = take_page(job_store, token, versions_seen)

    assert versions_seen == dict.fromkeys(ids, 6)


def change_each(database_url, ids, seed):
    """Every job five times, in transactions that stay open for up to 20 ms."""
    chance = random.Random(seed)
    database = Database(database_url)
    for job_id in chance.sample(ids * 5, k=5 * len(ids)):
        with database.transaction() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.id == job_id)
                .values(**grown(session, now=database.now(session)))
            )
            time.sleep(chance.uniform(0, 0.02))
    database.close()


def take_page(job_store, token, versions_seen):
    page = job_store.changes(after=token, limit=1000)
    for each in page.changes:
        versions_seen[each.job_id] = each.job.version
    return page.next_after
