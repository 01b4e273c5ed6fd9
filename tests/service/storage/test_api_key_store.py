import hashlib
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError
from sqlalchemy import select, text, update

from service.errors import DriftgateError, ErrorCode
from service.jobs.access import Caller, Scope
from service.jobs.api_keys import ApiKeyRequest, ApiKeyRotation
from service.jobs.state import JobState
from service.storage.api_key_store import ApiKeyStore, FoundKey
from service.storage.tables import ApiKeyRow

DAY = timedelta(days=1)


@pytest.fixture
def store(database):
    return ApiKeyStore(database)


def request(**fields) -> ApiKeyRequest:
    return ApiKeyRequest(**({"name": "a pipeline"} | fields))


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def code_of(call) -> ErrorCode:
    with pytest.raises(DriftgateError) as caught:
        call()
    return caught.value.code


def test_a_new_key_has_256_random_bits_and_only_its_hash_is_stored(store, database):
    created = store.create(request(scope="admin"))
    assert re.fullmatch(r"dg_[A-Za-z0-9_\-]{43}", created.key)
    with database.read() as session:
        stored = session.execute(text("SELECT * FROM api_keys")).one()._asdict()
    assert stored["key_sha256"] == sha256(created.key)
    assert stored["key_start"] == created.key[:12]
    assert created.key not in "\n".join(map(str, stored.values()))
    assert created.key not in store.list_keys(limit=10).model_dump_json()


def test_a_key_is_found_by_its_hash_with_all_that_was_asked_for(store):
    created = store.create(
        request(
            scope="read",
            expires_in_days=2,
            max_queued_jobs=3,
            max_requests_per_minute=4,
            max_streams=5,
        )
    )
    found = store.find(sha256(created.key))
    assert found.api_key == created.api_key == store.get(created.api_key.id)
    key = found.api_key
    assert (key.name, key.scope, key.caller_id) == ("a pipeline", Scope.READ, key.id)
    assert (key.max_queued_jobs, key.max_requests_per_minute, key.max_streams) == (3, 4, 5)
    assert key.expires_at - key.created_at == 2 * DAY
    assert store.find(sha256("dg_another")) is None


def test_pages_hold_every_key_once_newest_first(store):
    made = [store.create(request(name=str(number))).api_key for number in range(5)]
    pages = [store.list_keys(limit=2)]
    while pages[-1].next_page_token:
        pages.append(store.list_keys(limit=2, token=pages[-1].next_page_token))
    assert [len(page.api_keys) for page in pages] == [2, 2, 1]
    assert [key for page in pages for key in page.api_keys] == made[::-1]


def test_a_token_of_another_list_is_refused(store):
    for token in ("x", "WyJ4Il0=", "WzFd", "\x00", "é"):
        refusal = code_of(lambda token=token: store.list_keys(limit=2, token=token))
        assert refusal is ErrorCode.INVALID_ARGUMENT


def test_revoking_again_keeps_the_time_of_the_first(store):
    key_id = store.create(request()).api_key.id
    store.revoke(key_id)
    first = store.get(key_id).revoked_at
    store.revoke(key_id)
    assert first is not None
    assert store.get(key_id).revoked_at == first


def test_a_rotated_key_is_replaced_at_once_under_the_same_caller(store):
    earlier = store.create(request(scope="admin", max_queued_jobs=3))
    later = store.rotate(earlier.api_key.id, ApiKeyRotation())
    latest = store.rotate(later.api_key.id, ApiKeyRotation())
    assert store.find(sha256(earlier.key)).is_revoked
    assert store.find(sha256(later.key)).is_revoked
    found = store.find(sha256(latest.key))
    assert not found.is_revoked
    key = found.api_key
    assert (key.name, key.scope, key.max_queued_jobs) == ("a pipeline", Scope.ADMIN, 3)
    assert key.caller_id == earlier.api_key.id != key.id


def test_within_its_grace_a_rotated_key_is_accepted_and_can_be_rotated_again(store):
    earlier = store.create(request())
    store.rotate(earlier.api_key.id, ApiKeyRotation(grace_s=3600))
    found = store.find(sha256(earlier.key))
    assert not found.is_revoked
    assert 3590 < found.seconds_left <= 3600
    an_hour_later = FoundKey(found.api_key, found.key_sha256, found.now + timedelta(hours=1))
    assert an_hour_later.is_revoked
    again = store.rotate(earlier.api_key.id, ApiKeyRotation(grace_s=60))
    assert store.find(sha256(earlier.key)).seconds_left <= 60
    assert again.api_key.expires_at is None  # a grace is no lifetime to inherit


def test_a_longer_grace_does_not_prolong_a_shorter_one(store):
    key_id = store.create(request()).api_key.id
    store.rotate(key_id, ApiKeyRotation(grace_s=60))
    end = store.get(key_id).revoked_at
    store.rotate(key_id, ApiKeyRotation(grace_s=3600))
    assert store.get(key_id).revoked_at == end


def test_revoking_ends_a_grace(store):
    earlier = store.create(request())
    store.rotate(earlier.api_key.id, ApiKeyRotation(grace_s=3600))
    store.revoke(earlier.api_key.id)
    assert store.find(sha256(earlier.key)).is_revoked


def test_a_rotated_key_lives_as_long_anew_unless_asked_otherwise(store, database):
    key_id = store.create(request(expires_in_days=10)).api_key.id
    with database.transaction() as session:
        # It was made nine days ago, and has one day left.
        row = session.scalars(select(ApiKeyRow)).one()
        row.created_at, row.expires_at = row.created_at - 9 * DAY, row.expires_at - 9 * DAY
    renewed = store.rotate(key_id, ApiKeyRotation(grace_s=60)).api_key
    assert renewed.expires_at - renewed.created_at == 10 * DAY
    other = store.rotate(key_id, ApiKeyRotation(expires_in_days=3)).api_key
    assert other.expires_at - other.created_at == 3 * DAY


def test_a_revoked_key_cannot_be_rotated(store):
    key_id = store.create(request()).api_key.id
    store.revoke(key_id)
    refusal = code_of(lambda: store.rotate(key_id, ApiKeyRotation()))
    assert refusal is ErrorCode.INVALID_ARGUMENT
    assert len(store.list_keys(limit=10).api_keys) == 1


def test_an_expiry_that_has_passed_or_is_too_far_is_refused(store):
    key_id = store.create(request()).api_key.id
    for expires_at in (
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2200, 1, 1, tzinfo=UTC),
    ):
        new, rotation = request(expires_at=expires_at), ApiKeyRotation(expires_at=expires_at)
        for call in (
            lambda new=new: store.create(new),
            lambda rotation=rotation: store.rotate(key_id, rotation),
        ):
            assert code_of(call) is ErrorCode.INVALID_ARGUMENT
    assert store.get(key_id).revoked_at is None


@pytest.mark.parametrize(
    "expires_at",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=23))),
    ],
)
def test_an_expiry_beyond_the_calendar_of_utc_is_no_time(expires_at):
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        request(expires_at=expires_at)


def test_no_key_has_a_foreign_id(store):
    for key_id in ("", "x", "\x00" * 32, "\ud800", "0" * 32, "A" * 32):
        for call in (store.get, store.revoke, lambda key: store.rotate(key, ApiKeyRotation())):
            refusal = code_of(lambda call=call, key_id=key_id: call(key_id))
            assert refusal is ErrorCode.RESOURCE_NOT_FOUND


def test_a_key_that_was_taken_for_its_id_is_not_repeated(store):
    key = store.create(request()).key
    with pytest.raises(DriftgateError) as caught:
        store.get(key)
    assert key[13:] not in str(caught.value)
    assert key[13:] not in caught.value.violations[0].given


def test_the_last_use_is_written_at_most_once_a_minute(store):
    key_id = store.create(request()).api_key.id
    first = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    for seconds, noted in [(0, 0), (59, 0), (60, 60), (119, 60), (30, 60), (121, 121)]:
        store.note_use(key_id, at=first + timedelta(seconds=seconds))
        # 119 is 59 after 60, 30 is before it, 121 is 61 after it.
        assert store.get(key_id).last_used_at == first + timedelta(seconds=noted)


def test_revoked_and_expired_keys_count_as_made(store, database):
    assert not store.any_was_made()
    store.revoke(store.create(request()).api_key.id)
    assert store.any_was_made()
    with database.transaction() as session:
        past = datetime(2020, 1, 1, tzinfo=UTC)
        session.execute(update(ApiKeyRow).values(revoked_at=None, expires_at=past))
    assert store.any_was_made()


def test_of_a_hundred_jobs_at_once_each_caller_gets_its_quota(job_store, spec):
    of_a_stored_key = Caller("0" * 32, Scope.WRITE, max_queued_jobs=10)
    of_the_settings = Caller("", Scope.ADMIN, max_queued_jobs=7)

    def submit(caller: Caller) -> tuple[str, str]:
        try:
            job = job_store.create(spec, warnings=(), queue="default", caller=caller)
        except DriftgateError as refusal:
            return caller.key_id, refusal.code
        return caller.key_id, job.state

    with ThreadPoolExecutor(16) as threads:
        answers = Counter(threads.map(submit, [of_a_stored_key, of_the_settings] * 100))
    assert answers == {
        (of_a_stored_key.key_id, JobState.QUEUED): 10,
        (of_a_stored_key.key_id, ErrorCode.QUOTA_EXCEEDED): 90,
        (of_the_settings.key_id, JobState.QUEUED): 7,
        (of_the_settings.key_id, ErrorCode.QUOTA_EXCEEDED): 93,
    }
    assert len(job_store.list_jobs(limit=1000).jobs) == 17
