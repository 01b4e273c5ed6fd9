import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.api_keys import (
    CACHE_S,
    OUTAGE_S,
    ApiKeyOperations,
    Authenticator,
    current_caller,
    require_scope,
)
from service.errors import DriftgateError, ErrorCode
from service.jobs.access import ANYONE, Caller, Scope
from service.jobs.api_keys import ApiKeyRequest, ApiKeyRotation
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database

SETTINGS_KEY = "a key of the settings"
SETTINGS_SHA256 = hashlib.sha256(SETTINGS_KEY.encode()).hexdigest()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def sqlite_database(sqlite_url):
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def store(sqlite_database):
    """As another process sees it: what it changes, no authenticator is told of."""
    return ApiKeyStore(sqlite_database)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def authenticator(store, clock, settings_factory):
    return Authenticator(store, settings_factory(), clock=clock)


def request(**fields) -> ApiKeyRequest:
    return ApiKeyRequest(**({"name": "a pipeline"} | fields))


def refusal_of(call, *arguments) -> DriftgateError:
    with pytest.raises(DriftgateError) as caught:
        call(*arguments)
    return caught.value


def test_a_server_that_never_had_a_key_answers_anyone(authenticator):
    assert authenticator.authenticate(None) is ANYONE
    assert authenticator.authenticate("Bearer nonsense") is ANYONE
    assert authenticator.recall(None) is ANYONE


def test_the_first_key_closes_the_door_within_five_seconds(authenticator, store, clock):
    authenticator.authenticate(None)
    key = store.create(request()).key
    clock.now_s += CACHE_S
    assert refusal_of(authenticator.authenticate, None).code is ErrorCode.UNAUTHENTICATED
    assert authenticator.authenticate(f"Bearer {key}").scope is Scope.WRITE


def test_a_server_whose_last_key_was_revoked_or_expired_does_not_open(
    authenticator, store, clock, sqlite_database
):
    store.revoke(store.create(request()).api_key.id)
    with sqlite_database.transaction() as session:
        session.execute(text("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00.000000'"))
    for _ in range(3):
        for header in (None, "", "Bearer nonsense"):
            assert refusal_of(authenticator.authenticate, header).code is ErrorCode.UNAUTHENTICATED
        clock.now_s += 3600


def test_a_key_of_another_process_is_known_and_its_revocation_within_five_seconds(
    authenticator, store, clock
):
    created = store.create(request(scope="read"))
    header = f"bearer  {created.key} "
    assert authenticator.authenticate(header).key_id == created.api_key.id
    store.revoke(created.api_key.id)
    clock.now_s += CACHE_S - 0.1
    assert authenticator.recall(header).scope is Scope.READ
    clock.now_s += 0.1
    assert authenticator.recall(header) is None
    assert refusal_of(authenticator.authenticate, header).code is ErrorCode.UNAUTHENTICATED


def test_what_this_process_revokes_or_rotates_is_refused_at_once(authenticator, store):
    operations = ApiKeyOperations(store, authenticator)
    admin = Caller("", Scope.ADMIN, max_streams=1)
    revoked, rotated = (operations.create(request(), caller=admin) for _ in range(2))
    for created in (revoked, rotated):
        authenticator.authenticate(f"Bearer {created.key}")
    operations.revoke(revoked.api_key.id)
    later = operations.rotate(rotated.api_key.id, ApiKeyRotation())
    for created in (revoked, rotated):
        refusal = refusal_of(authenticator.authenticate, f"Bearer {created.key}")
        assert refusal.code is ErrorCode.UNAUTHENTICATED
    assert authenticator.authenticate(f"Bearer {later.key}").key_id == rotated.api_key.id


def test_a_rotated_key_and_its_successor_are_one_caller_within_the_grace(authenticator, store):
    earlier = store.create(request(max_queued_jobs=3))
    later = store.rotate(earlier.api_key.id, ApiKeyRotation(grace_s=60))
    callers = [authenticator.authenticate(f"Bearer {key}") for key in (earlier.key, later.key)]
    assert callers[0] == callers[1]
    assert (callers[0].key_id, callers[0].max_queued_jobs) == (earlier.api_key.id, 3)


def test_a_key_expires_on_time_though_it_is_remembered(store, settings_factory, wait_until):
    authenticator = Authenticator(store, settings_factory())
    expires_at = datetime.now(UTC) + timedelta(seconds=1.5)
    header = f"Bearer {store.create(request(expires_at=expires_at)).key}"
    started_s = time.monotonic()
    authenticator.authenticate(header)
    wait_until(lambda: authenticator.recall(header) is None)
    assert time.monotonic() - started_s < CACHE_S
    wait_until(lambda: datetime.now(UTC) > expires_at)
    refusal = refusal_of(authenticator.authenticate, header)
    assert refusal.code is ErrorCode.UNAUTHENTICATED
    assert f"expired at {expires_at.isoformat()}" in refusal.message


def test_an_outage_opens_for_an_hour_to_keys_that_were_accepted(authenticator, store, clock):
    used, unused = (f"Bearer {store.create(request()).key}" for _ in range(2))
    caller = authenticator.authenticate(used)
    clock.now_s += OUTAGE_S - 1
    assert authenticator.recall(used) is None
    assert authenticator.recall_in_outage(used) == caller
    for header in (None, unused, f"{used}x", "Bearer "):
        assert authenticator.recall_in_outage(header) is None
    clock.now_s += 1
    assert authenticator.recall_in_outage(used) is None


def test_an_outage_opens_to_no_key_beyond_its_end(authenticator, store, clock):
    expires_at = datetime.now(UTC) + timedelta(seconds=60)
    header = f"Bearer {store.create(request(expires_at=expires_at)).key}"
    authenticator.authenticate(header)
    clock.now_s += 50
    assert authenticator.recall_in_outage(header) is not None
    clock.now_s += 10
    assert authenticator.recall_in_outage(header) is None


def test_an_outage_opens_to_no_key_that_was_found_revoked(authenticator, store, clock):
    created = store.create(request())
    header = f"Bearer {created.key}"
    authenticator.authenticate(header)
    store.revoke(created.api_key.id)
    assert authenticator.recall_in_outage(header) is not None  # another process did it
    clock.now_s += CACHE_S
    assert refusal_of(authenticator.authenticate, header).code is ErrorCode.UNAUTHENTICATED
    assert authenticator.recall_in_outage(header) is None


def test_an_outage_opens_to_anyone_only_where_no_key_was_needed_before(authenticator, clock):
    assert authenticator.recall_in_outage(None) is None
    assert authenticator.authenticate(None) is ANYONE
    clock.now_s += OUTAGE_S
    assert authenticator.recall(None) is None
    assert authenticator.recall_in_outage(None) is ANYONE
    clock.now_s += CACHE_S
    assert authenticator.recall_in_outage(None) is None
    authenticator.authenticate(None)
    authenticator.forget()
    assert authenticator.recall_in_outage(None) is None


def test_an_unknown_and_a_revoked_key_are_refused_in_the_same_words(authenticator, store):
    created = store.create(request())
    store.revoke(created.api_key.id)
    revoked = refusal_of(authenticator.authenticate, f"Bearer {created.key}")
    unknown = refusal_of(authenticator.authenticate, f"Bearer dg_{'x' * 43}")
    assert (revoked.message, revoked.violations) == (unknown.message, unknown.violations)
    assert "unknown, expired or revoked" in unknown.message
    assert created.key[3:12] not in revoked.message


def test_what_is_no_key_is_refused_without_asking_the_database(settings_factory, unused_port):
    url = f"postgresql://nobody@127.0.0.1:{unused_port}/nothing"
    settings = settings_factory(api_key_sha256=(SETTINGS_SHA256.upper(),))
    authenticator = Authenticator(ApiKeyStore(Database(url)), settings)
    good = f"dg_{'x' * 43}"
    for header in (
        None,
        "",
        " ",
        "Bearer",
        "Bearer ",
        good,
        f"Basic {good}",
        f"Bearer{good}",
        f"Bearer {good}x",
        f"Bearer {good[:-1]}",
        f"Bearer {good} {good}",
        f"Bearer dg_{'é' * 43}",
        f"Bearer {good}\x00",
        "Bearer \ud800",
        f"Bearer {'x' * 100_000}",
        f"Bearer {SETTINGS_SHA256}",
    ):
        assert refusal_of(authenticator.recall, header).code is ErrorCode.UNAUTHENTICATED
    assert authenticator.authenticate(f"Bearer {SETTINGS_KEY}").scope is Scope.ADMIN
    assert authenticator.recall(f"Bearer {good}") is None
    unavailable = refusal_of(authenticator.authenticate, f"Bearer {good}")
    assert unavailable.code is ErrorCode.DATABASE_UNAVAILABLE


def test_limits_are_the_key_s_own_or_the_settings(store, settings_factory):
    settings = settings_factory(
        api_key_sha256=(SETTINGS_SHA256,),
        max_queued_jobs_per_key=11,
        max_requests_per_minute_per_key=12,
        max_streams_per_key=13,
    )
    authenticator = Authenticator(store, settings)
    created = store.create(request(scope="read", max_requests_per_minute=5))
    assert authenticator.authenticate(f"Bearer {created.key}") == Caller(
        created.api_key.id, Scope.READ, 11, 5, 13
    )
    assert authenticator.authenticate(f"Bearer {SETTINGS_KEY}") == Caller(
        "", Scope.ADMIN, 11, 12, 13
    )


def test_the_use_of_a_key_is_noted(authenticator, store):
    created = store.create(request())
    assert store.get(created.api_key.id).last_used_at is None
    authenticator.authenticate(f"Bearer {created.key}")
    noted = store.get(created.api_key.id).last_used_at
    assert datetime.now(UTC) - noted < timedelta(minutes=1)


def test_a_key_is_never_made_over_the_network_on_a_server_without_keys(authenticator, store):
    operations = ApiKeyOperations(store, authenticator)
    refusal = refusal_of(lambda: operations.create(request(), caller=ANYONE))
    assert refusal.code is ErrorCode.PERMISSION_DENIED
    assert "driftgate keys create" in refusal.message
    assert not store.any_was_made()


def test_a_page_has_between_one_and_a_thousand_keys(authenticator, store):
    operations = ApiKeyOperations(store, authenticator)
    for limit in (0, -1, 1001, 2**70):
        refusal = refusal_of(lambda limit=limit: operations.list_keys(limit=limit))
        assert refusal.code is ErrorCode.INVALID_ARGUMENT
    assert operations.list_keys(limit=1000).api_keys == ()


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", ["read"]), ("write", ["read", "write"]), ("admin", ["read", "write", "admin"])],
)
def test_each_scope_holds_the_one_before_it(scope, allowed):
    caller = Caller("a", Scope(scope))
    for needed in allowed:
        require_scope(caller, Scope(needed), asked="It")
    for needed in set(Scope) - set(allowed):
        refusal = refusal_of(lambda needed=needed: require_scope(caller, needed, asked="It"))
        assert refusal.code is ErrorCode.PERMISSION_DENIED
        assert refusal.message.startswith(f"It needs an API key of scope {needed}")


def test_an_open_address_needs_a_key_in_the_settings_or_the_database(
    authenticator, store, clock, settings_factory
):
    assert refusal_of(authenticator.check_bind, "0.0.0.0").code is ErrorCode.UNSAFE_BIND
    authenticator.check_bind("127.0.0.1")
    Authenticator(store, settings_factory(api_key_sha256=(SETTINGS_SHA256,))).check_bind("0.0.0.0")
    store.create(request())
    clock.now_s += CACHE_S
    authenticator.check_bind("0.0.0.0")


def test_an_open_address_is_refused_while_the_database_does_not_say(settings_factory, unused_port):
    url = f"postgresql://nobody@127.0.0.1:{unused_port}/nothing"
    authenticator = Authenticator(ApiKeyStore(Database(url)), settings_factory())
    assert refusal_of(authenticator.check_bind, "0.0.0.0").code is ErrorCode.UNSAFE_BIND


def test_a_caller_reads_its_own_limits():
    assert current_caller(ANYONE).model_dump() == {
        "caller_id": None,
        "scope": Scope.ADMIN,
        "max_queued_jobs": None,
        "max_requests_per_minute": None,
        "max_streams": None,
    }
    assert current_caller(Caller("a", Scope.READ, 1, 2, 3)).max_streams == 3
