"""Every error of the catalogue that a client can meet, through both transports: the same refusal."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import grpc
import pytest
from google.protobuf.descriptor import Descriptor

from service.error_catalogue import CATALOGUE
from service.rpc.generated.driftgate.v1 import jobs_pb2
from service.settings import Settings
from tests.service.rpc.parity_cases import CASES, NOT_MET_BY_BOTH, Case
from tests.service.rpc.parity_worlds import World, open_world
from tests.service.rpc.refusals import refusal_by_grpc, refusal_by_rest

# What can be at fault and is no field of the request: the call and its caller, the pieces of an upload together, and
# the state of what the request names.
BESIDE_REQUESTS = {
    "authorization",
    "body",
    "content",
    "method",
    "queued_jobs",
    "requests_per_minute",
    "scope",
    "state",
}
# Of these the paths begin inside, as those of the REST body do.
ROOTS = ("spec", "gate")


def fields_of(request: Descriptor | None) -> set[str]:
    """What the first part of a path may be."""
    if request is None:
        return set()
    roots = [request.fields_by_name[name] for name in ROOTS if name in request.fields_by_name]
    inside = [name for root in roots for name in root.message_type.fields_by_name]
    return {*request.fields_by_name, *inside}


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
        assert by_grpc == by_rest.with_names(case.own_names)
    assert by_grpc.message
    assert by_rest.message


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_field_at_fault_is_one_that_the_request_has(world_of, case: Case):
    world = world_of(case.world)

    _, refusal = refusal_by_grpc(lambda: case.grpc(world))

    at_fault = {field.partition(".")[0] for field in refusal.fields}
    assert at_fault <= fields_of(world.called.last_request) | BESIDE_REQUESTS


def test_the_number_of_ids_is_told_by_the_name_of_the_ids(world_of):
    stubs = world_of("open").stubs
    _, none = refusal_by_grpc(lambda: stubs.jobs.BatchGetJobs(jobs_pb2.BatchGetJobsRequest()))
    assert none.message == "job_ids has 0 ids of jobs, but must have 1 to 100."
    assert none.violations == (("job_ids", "given 0 ids of jobs; allowed: 1 to 100 ids of jobs"),)


def test_every_code_of_the_catalogue_is_provoked_or_cannot_be():
    provoked = {case.code for case in CASES}

    assert provoked | set(NOT_MET_BY_BOTH) == set(CATALOGUE)
    assert provoked & set(NOT_MET_BY_BOTH) == set()
