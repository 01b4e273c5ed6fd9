import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import delete, event

from service.errors import DriftgateError, ErrorCode
from service.jobs.results import Failure
from service.jobs.state import JobState
from service.jobs.webhooks import DeliveryState, WebhookEventType, WebhookSpec
from service.storage.job_store import JobStore
from service.storage.sessions import Database
from service.storage.tables import WebhookRow
from service.storage.webhook_queue import AttemptEnd, WebhookQueue
from service.storage.webhook_store import MAX_WEBHOOKS, WebhookStore
from tests.service.webhook_receivers import Clock

# What is no different on the other one.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
URL = "https://hooks.example.org/driftgate"
LEASE_S = 60
ACCEPTED = AttemptEnd(http_status=204, error=None, seconds=0.1)
REFUSED = AttemptEnd(http_status=500, error="answered 500", seconds=0.1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def webhook_store(database, clock):
    return WebhookStore(database, clock=clock)


@pytest.fixture
def webhook_queue(database, clock):
    return WebhookQueue(database, clock=clock)


@pytest.fixture
def register(webhook_store):
    def make(**fields):
        return webhook_store.create(WebhookSpec(**({"url": URL} | fields)))

    return make


@pytest.fixture
def submit(job_store, spec):
    def make(**changes):
        return job_store.create(spec.model_copy(update=changes), warnings=(), queue="default")

    return make


@pytest.fixture
def claim_one(webhook_queue):
    def take(webhook):
        (due,) = webhook_queue.claim(webhook.id, limit=10, lease_s=LEASE_S)
        return due

    return take


def assert_refused(code, call):
    with pytest.raises(DriftgateError) as caught:
        call()
    assert caught.value.code is code


# Webhooks


@on_one_database
def test_a_webhook_is_read_back_without_its_secret(webhook_store, register):
    made = register(description="CI", event_types=["job.failed", "job.failed"])
    read = webhook_store.get(made.id)
    assert read.model_dump() == made.model_dump(exclude={"secret", "earlier_secret_until"})
    assert (read.url, read.description, read.enabled) == (URL, "CI", True)
    assert read.event_types == (WebhookEventType.FAILED,)


def test_pages_hold_every_webhook_once_newest_first(webhook_store, register):
    ids = [register().id for _ in range(5)]
    first = webhook_store.list_webhooks(limit=3)
    second = webhook_store.list_webhooks(limit=3, token=first.next_page_token)
    assert second.next_page_token is None
    assert [one.id for one in (*first.webhooks, *second.webhooks)] == ids[::-1]


@on_one_database
def test_a_foreign_page_token_is_refused(webhook_store, register):
    webhook = register()
    for token in ("x", "WyJhIl0=", "WyJhXHUwMDAwIl0="):
        for call in (
            partial(webhook_store.list_webhooks, limit=3, token=token),
            partial(webhook_store.deliveries, webhook.id, limit=3, token=token),
        ):
            assert_refused(ErrorCode.INVALID_ARGUMENT, call)


@on_one_database
def test_a_change_sets_what_it_names_and_the_time(webhook_store, register, clock):
    made = register(description="CI")
    clock.advance(5)
    changed = webhook_store.update(made.id, {"enabled": False, "description": None})
    assert changed == webhook_store.get(made.id)
    assert (changed.enabled, changed.description, changed.url) == (False, None, URL)
    assert changed.updated_at - made.updated_at == timedelta(seconds=5)
    clock.advance(5)
    assert webhook_store.update(made.id, {"url": URL}) == changed, "nothing changed"


def test_an_unknown_webhook_is_named(webhook_store):
    for webhook_id in ("0" * 32, "nothing", "a\x00b", "\udcff", ""):
        for call in (
            partial(webhook_store.get, webhook_id),
            partial(webhook_store.update, webhook_id, {"enabled": False}),
            partial(webhook_store.delete, webhook_id),
            partial(webhook_store.rotate_secret, webhook_id),
            partial(webhook_store.add_trial, webhook_id),
            partial(webhook_store.deliveries, webhook_id, limit=1),
            partial(webhook_store.delivery, webhook_id, webhook_id),
            partial(webhook_store.redeliver, webhook_id, webhook_id),
        ):
            assert_refused(ErrorCode.RESOURCE_NOT_FOUND, call)


def test_there_are_only_so_many_webhooks(webhook_store, register, database):
    with database.transaction() as session:
        example = session.get_one(WebhookRow, register().id)
        columns = {one.key: getattr(example, one.key) for one in WebhookRow.__table__.columns}
        for number in range(MAX_WEBHOOKS - 1):
            session.add(WebhookRow(**columns | {"id": f"{number:032x}"}))
    assert_refused(ErrorCode.QUOTA_EXCEEDED, register)
    webhook_store.delete("0" * 32)
    register()


def test_a_rotated_secret_signs_beside_the_earlier_one_for_a_day(
    webhook_store, register, claim_one, clock
):
    made = register()
    rotated = webhook_store.rotate_secret(made.id)
    assert rotated.secret != made.secret
    assert rotated.earlier_secret_until == clock.now + timedelta(days=1)
    webhook_store.add_trial(made.id)
    assert claim_one(made).secrets == (rotated.secret, made.secret)
    clock.advance(86_400)
    assert claim_one(made).secrets == (rotated.secret,)


# The outbox


def told(webhook_store, webhook):
    page = webhook_store.deliveries(webhook.id, limit=100)
    return [one.event_type for one in reversed(page.deliveries)]


def test_every_move_that_can_be_told_is_written_down_once(
    webhook_store, job_store, register, submit
):
    webhook = register()
    job = submit()
    job_store.request_pause(job.id)
    job_store.request_resume(job.id)
    claim = job_store.claim(queue="default", owner="worker", lease_s=60)
    job_store.start_running(claim.lease)
    job_store.release(
        claim.lease, message="The worker was told to stop.", counted=False, max_attempts=3
    )
    again = job_store.claim(queue="default", owner="worker", lease_s=60)
    job_store.start_running(again.lease)
    job_store.finish(again.lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    assert told(webhook_store, webhook) == [
        "job.queued",
        "job.paused",
        "job.queued",
        "job.running",
        "job.queued",
        "job.running",
        "job.succeeded",
    ]


def test_the_payload_says_how_the_job_was_right_after_the_event(
    webhook_store, job_store, register, submit, spec
):
    webhook = register(event_types=["job.failed"])
    job = submit(name="näh 😀", labels={"team": "tests"})
    claim = job_store.claim(queue="default", owner="worker", lease_s=60)
    failure = Failure(code=ErrorCode.OUT_OF_MEMORY, message="m" * 5000)
    job_store.finish(claim.lease, state=JobState.FAILED, failure=failure, message="It failed.")
    failed = job_store.get(job.id)
    last_event = job_store.events(job.id).events[-1]
    (delivery,) = webhook_store.deliveries(webhook.id, limit=10).deliveries
    payload = webhook_store.delivery(webhook.id, delivery.id).payload
    timestamp = payload.pop("timestamp")
    assert payload == {
        "type": "job.failed",
        "payload_version": 1,
        "data": {
            "job_id": job.id,
            "name": "näh 😀",
            "kind": "distillation",
            "labels": {"team": "tests"},
            "state": "failed",
            "attempt": 1,
            "event_seq": last_event.seq,
            "job_version": failed.version,
            "failure": {"code": "OUT_OF_MEMORY", "message": "m" * 1000},
        },
    }
    assert timestamp == json.loads(last_event.model_dump_json())["at"]


@on_one_database
def test_only_who_listens_is_told(webhook_store, register, submit, job_store):
    cancelled = register(event_types=["job.cancelled"])
    disabled = register(enabled=False)
    job_store.request_cancel(submit().id)
    assert told(webhook_store, cancelled) == ["job.cancelled"]
    assert told(webhook_store, disabled) == []


def test_an_event_that_is_rolled_back_is_not_told(webhook_store, register, submit, job_store):
    webhook = register()
    submit()
    claim = job_store.claim(queue="default", owner="worker", lease_s=60)
    job_store.start_running(claim.lease)
    before = told(webhook_store, webhook)
    # A job that runs cannot be finished as queued: the transaction fails as a whole.
    with pytest.raises(DriftgateError):
        job_store.finish(claim.lease, state=JobState.PAUSED, failure=None, message="")
    assert told(webhook_store, webhook) == before


def test_without_a_webhook_the_outbox_takes_no_statement_of_its_own(database, submit, register):
    statements = []
    event.listen(
        database._engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    submit()
    assert [one for one in statements if "webhooks" in one and "job_events" not in one] == []
    register()
    submit()
    assert any("webhook_deliveries" in one for one in statements)


def test_a_webhook_that_goes_in_the_middle_of_a_submission_breaks_nothing(postgres_url, spec):
    """The deletion is not committed when the submission looks; it waits for it and tells nobody."""
    database = Database(postgres_url)
    job_store = JobStore(database)
    webhook = WebhookStore(database).create(WebhookSpec(url=URL))
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool, database.transaction() as session:
        session.execute(delete(WebhookRow).where(WebhookRow.id == webhook.id))
        submission = pool.submit(job_store.create, spec, warnings=(), queue="default")
        submission.add_done_callback(lambda _: ended.set())
        assert not ended.wait(0.2)
        session.commit()
        assert submission.result(timeout=30).state is JobState.QUEUED
    database.close()


# Deliveries


def test_a_claim_holds_a_delivery_until_its_lease_ends(
    webhook_store, webhook_queue, register, claim_one, clock
):
    """So the delivery of a process that was killed is tried again by another one."""
    webhook = register()
    trial = webhook_store.add_trial(webhook.id)
    assert [one.id for one in webhook_queue.waiting_webhooks()] == [webhook.id]
    first = claim_one(webhook)
    assert (first.id, first.number) == (trial.id, 1)
    clock.advance(LEASE_S - 1)
    assert webhook_queue.waiting_webhooks() == []
    assert webhook_queue.claim(webhook.id, limit=10, lease_s=LEASE_S) == []
    clock.advance(1)
    assert claim_one(webhook).number == 2


def test_claims_of_many_at_once_are_of_different_deliveries(webhook_store, webhook_queue, register):
    webhook = register()
    ids = {webhook_store.add_trial(webhook.id).id for _ in range(24)}
    barrier = threading.Barrier(8)

    def claim(_):
        barrier.wait()
        return [one.id for one in webhook_queue.claim(webhook.id, limit=3, lease_s=LEASE_S)]

    with ThreadPoolExecutor(8) as pool:
        claimed = [one for ids_of_one in pool.map(claim, range(8)) for one in ids_of_one]
    claimed += [one.id for one in webhook_queue.claim(webhook.id, limit=24, lease_s=LEASE_S)]
    assert sorted(claimed) == sorted(ids)


def test_an_accepted_delivery_is_done(webhook_store, webhook_queue, register, claim_one, clock):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    due = claim_one(webhook)
    clock.advance(3)
    webhook_queue.delivered(due, ACCEPTED)
    done = webhook_store.delivery(webhook.id, due.id)
    assert (done.state, done.next_attempt_at) == (DeliveryState.DELIVERED, None)
    assert done.delivered_at == clock.now
    (attempt,) = done.attempts
    assert (attempt.number, attempt.http_status, attempt.error) == (1, 204, None)
    assert attempt.at == clock.now - timedelta(seconds=3)


def test_a_refused_delivery_waits_and_is_given_up_in_the_end(
    webhook_store, webhook_queue, register, claim_one, clock
):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    due = claim_one(webhook)
    webhook_queue.try_again(due, REFUSED, after_s=30)
    waiting = webhook_store.delivery(webhook.id, due.id)
    assert waiting.next_attempt_at == clock.now + timedelta(seconds=30)
    clock.advance(30)
    webhook_queue.give_up(claim_one(webhook), REFUSED)
    failed = webhook_store.delivery(webhook.id, due.id)
    assert (failed.state, failed.next_attempt_at) == (DeliveryState.FAILED, None)
    assert [one.number for one in failed.attempts] == [1, 2]


def test_what_a_late_attempt_found_changes_nothing_but_the_log(
    webhook_store, webhook_queue, register, claim_one, clock
):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    late = claim_one(webhook)
    clock.advance(LEASE_S)
    newest = claim_one(webhook)
    webhook_queue.give_up(late, REFUSED)
    webhook_queue.delivered(newest, ACCEPTED)
    webhook_queue.try_again(newest, REFUSED, after_s=1)
    done = webhook_store.delivery(webhook.id, late.id)
    assert done.state is DeliveryState.DELIVERED
    assert [(one.number, one.http_status) for one in done.attempts] == [(1, 500), (2, 204)]


def test_a_receiver_that_is_gone_disables_its_webhook(
    webhook_store, webhook_queue, register, claim_one
):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    due = claim_one(webhook)
    webhook_queue.give_up_webhook(due, AttemptEnd(410, "answered 410", 0.1))
    assert webhook_store.get(webhook.id).enabled is False
    assert webhook_store.delivery(webhook.id, due.id).state is DeliveryState.FAILED


@on_one_database
def test_what_waits_for_a_disabled_webhook_is_due_when_it_is_enabled(
    webhook_store, webhook_queue, register
):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    webhook_store.update(webhook.id, {"enabled": False})
    assert webhook_queue.waiting_webhooks() == []
    webhook_store.update(webhook.id, {"enabled": True})
    assert [one.id for one in webhook_queue.waiting_webhooks()] == [webhook.id]


def test_the_end_of_an_attempt_whose_webhook_is_gone_is_dropped(
    webhook_store, webhook_queue, register, claim_one
):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    due = claim_one(webhook)
    webhook_store.delete(webhook.id)
    webhook_queue.delivered(due, ACCEPTED)
    assert_refused(ErrorCode.RESOURCE_NOT_FOUND, lambda: webhook_store.delivery(webhook.id, due.id))


def test_the_log_is_paged_and_narrowed(
    webhook_store, webhook_queue, register, submit, job_store, claim_one
):
    webhook = register()
    trial = webhook_store.add_trial(webhook.id)
    webhook_queue.delivered(claim_one(webhook), ACCEPTED)
    job, other = submit(), submit()
    job_store.request_cancel(job.id)

    def page(**filters):
        return webhook_store.deliveries(webhook.id, **({"limit": 10} | filters))

    assert [one.job_id for one in page().deliveries] == [job.id, other.id, job.id, None]
    assert [one.id for one in page(state=DeliveryState.DELIVERED).deliveries] == [trial.id]
    assert [one.id for one in page(event_type="webhook.test").deliveries] == [trial.id]
    assert [one.event_seq for one in page(job_id=job.id).deliveries] == [2, 1]
    first = page(limit=3)
    second = page(limit=3, token=first.next_page_token)
    assert (*first.deliveries, *second.deliveries) == page().deliveries
    assert second.next_page_token is None
    assert_refused(ErrorCode.INVALID_ARGUMENT, lambda: page(job_id="a\x00b"))


@on_one_database
def test_a_delivery_of_another_webhook_is_not_found(webhook_store, register):
    webhook, other = register(), register()
    trial = webhook_store.add_trial(webhook.id)
    assert_refused(ErrorCode.RESOURCE_NOT_FOUND, lambda: webhook_store.delivery(other.id, trial.id))


@on_one_database
def test_a_redelivery_has_the_same_id_and_body(webhook_store, webhook_queue, register, claim_one):
    webhook = register()
    webhook_store.add_trial(webhook.id)
    first = claim_one(webhook)
    webhook_queue.delivered(first, ACCEPTED)
    again = webhook_store.redeliver(webhook.id, first.id)
    assert (again.state, again.delivered_at) == (DeliveryState.PENDING, None)
    second = claim_one(webhook)
    assert (second.id, second.payload, second.number) == (first.id, first.payload, 2)


@on_one_database
def test_nothing_is_asked_of_a_disabled_webhook(webhook_store, register):
    webhook = register()
    trial = webhook_store.add_trial(webhook.id)
    webhook_store.update(webhook.id, {"enabled": False})
    assert_refused(ErrorCode.INVALID_ARGUMENT, lambda: webhook_store.add_trial(webhook.id))
    assert_refused(
        ErrorCode.INVALID_ARGUMENT, lambda: webhook_store.redeliver(webhook.id, trial.id)
    )


def test_deliveries_go_with_their_attempts_after_thirty_days(
    webhook_store, webhook_queue, register, claim_one, clock
):
    webhook = register()
    old = webhook_store.add_trial(webhook.id)
    webhook_queue.delivered(claim_one(webhook), ACCEPTED)
    clock.advance(86_400)
    young = webhook_store.add_trial(webhook.id)
    clock.advance(29 * 86_400)
    assert webhook_queue.remove_old() == 0
    clock.advance(1)
    assert webhook_queue.remove_old() == 1
    left = webhook_store.deliveries(webhook.id, limit=10).deliveries
    assert [one.id for one in left] == [young.id]
    assert old.id != young.id


@on_one_database
def test_a_deleted_job_is_told_of_all_the_same(webhook_store, register, submit, job_store):
    webhook = register(event_types=["job.cancelled"])
    job = submit()
    job_store.request_cancel(job.id)
    job_store.delete(job.id)
    (delivery,) = webhook_store.deliveries(webhook.id, limit=10).deliveries
    assert webhook_store.delivery(webhook.id, delivery.id).payload["data"]["job_id"] == job.id
