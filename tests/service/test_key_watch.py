"""What is open ends with its key: revoked or expired meanwhile, by this process or by another."""

import asyncio

import pytest

from service.api_keys import CACHE_S, Authenticator
from service.errors import DriftgateError, ErrorCode
from service.jobs.access import Scope
from service.jobs.api_keys import ApiKeyRequest
from service.key_watch import KeyWatch
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database


class Keys:
    """Keys of a server, changed by another process than the one that watches them."""

    def __init__(self, database, settings):
        self.database = database
        self.store = ApiKeyStore(database)
        self.now_s = 1000.0
        self.authenticator = Authenticator(self.store, settings, clock=lambda: self.now_s)
        self.watch = KeyWatch(self.authenticator, look_every_s=0.01)

    def create(self):
        """Its id, and the header that it is sent in; accepted by the process that watches."""
        created = self.store.create(ApiKeyRequest(name="a dashboard", scope=Scope.READ))
        authorization = f"Bearer {created.key}"
        self.authenticator.authenticate(authorization)
        return created.api_key.id, authorization

    async def open(self, authorization, *, for_s=30.0):
        async with self.watch.while_accepted(authorization):
            await asyncio.sleep(for_s)


@pytest.fixture
def keys(sqlite_url, settings_factory):
    database = Database(sqlite_url)
    yield Keys(database, settings_factory(database_url=sqlite_url))
    database.close()


def test_what_a_revoked_key_opened_ends_and_what_others_opened_goes_on(keys):
    revoked_id, revoked = keys.create()
    _, other = keys.create()

    async def open_all():
        opened = [
            asyncio.create_task(keys.open(revoked)),
            asyncio.create_task(keys.open(revoked)),
            asyncio.create_task(keys.open(other, for_s=0.3)),
        ]
        await asyncio.sleep(0.05)
        keys.store.revoke(revoked_id)
        assert not any(each.done() for each in opened), "it is remembered for a while"
        keys.now_s += CACHE_S
        return await asyncio.gather(*opened, return_exceptions=True)

    first, second, third = asyncio.run(open_all())

    for ended in (first, second):
        assert isinstance(ended, DriftgateError)
        assert ended.code is ErrorCode.UNAUTHENTICATED
    assert third is None


def test_while_the_database_is_away_nothing_ends(keys, monkeypatch):
    _, authorization = keys.create()
    keys.now_s += CACHE_S
    gone = DriftgateError(ErrorCode.DATABASE_UNAVAILABLE, "It is away.")

    def find(_digest):
        raise gone

    monkeypatch.setattr(keys.store, "find", find)
    asyncio.run(keys.open(authorization, for_s=0.1))


def test_without_keys_it_goes_on_until_there_is_a_first_one(keys):
    async def open_before_the_first():
        opened = asyncio.create_task(keys.open(None))
        await asyncio.sleep(0.05)
        assert not opened.done()
        keys.create()
        keys.now_s += CACHE_S
        await opened

    with pytest.raises(DriftgateError) as refusal:
        asyncio.run(open_before_the_first())
    assert refusal.value.code is ErrorCode.UNAUTHENTICATED


def test_a_timeout_inside_is_its_own_and_nothing_is_left_behind(keys):
    _, authorization = keys.create()

    async def run_out_of_time():
        with pytest.raises(TimeoutError):
            async with keys.watch.while_accepted(authorization), asyncio.timeout(0.01):
                await asyncio.Event().wait()
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run_out_of_time()) == set()
