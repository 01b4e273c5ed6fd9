"""Every error of the catalogue that a client can meet, through both transports: the same refusal."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import grpc
import pytest

from service.error_catalogue import CATALOGUE
from service.settings import Settings
from tests.service.rpc.parity_cases import CASES, NOT_MET_BY_BOTH, Case
from tests.service.rpc.parity_worlds import World, open_world
from tests.service.rpc.refusals import refusal_by_grpc, refusal_by_rest


@pytest.fixture(scope="module")
def world_of(tmp_path_factory, sqlite_template, redis_server) -> Iterator[Callable[[str], World]]:
    """By name; each is opened once for all cases, which make what they need."""
    with ExitStack() as stack:

        @cache
        def make(name: str) -> World:
            folder = tmp_path_factory.mktemp(name)
            database = folder / ("missing/folder" if name == "broken" else "") / "driftgate.db"
            if name != "broken":
                database.write_bytes(sqlite_template.read_bytes())
            settings = Settings(
                data_dir=folder,
                database_url=f"sqlite:///{database}",
                broker_url=redis_server,
                grpc_port=0,
                max_body_bytes=100_000,
                # Nothing listens there, so a hub model is refused at once on every machine.
                hub_endpoint="http://127.0.0.1:9",
                hub_cache_dir="/nonexistent",
                api_key_sha256=("0" * 64,) if name == "locked" else (),
                # Where nobody can make a folder.
                artifact_url="file:///proc/nowhere" if name == "stranded" else None,
            )
            return open_world(settings, stack)

        yield make


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_request_is_refused_alike_by_both(world_of, case: Case):
    world = world_of(case.world)

    answer = case.rest(world)
    by_rest = refusal_by_rest(answer)
    grpc_code, by_grpc = refusal_by_grpc(lambda: case.grpc(world))

    entry = CATALOGUE[case.code]
    assert (by_grpc.code, grpc_code) == (case.code, grpc.StatusCode[entry.grpc_code])
    assert (by_rest.code, answer.status_code) == (case.code, entry.http_status)
    assert by_grpc.retry_after_s == by_rest.retry_after_s
    assert (by_grpc.retry_after_s is not None) == entry.retryable
    if case.same_words:
        assert by_grpc == by_rest
    assert by_grpc.message
    assert by_rest.message


def test_every_code_of_the_catalogue_is_provoked_or_cannot_be():
    provoked = {case.code for case in CASES}

    assert provoked | set(NOT_MET_BY_BOTH) == set(CATALOGUE)
    assert provoked & set(NOT_MET_BY_BOTH) == set()
