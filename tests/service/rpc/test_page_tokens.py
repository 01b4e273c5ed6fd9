"""A page token belongs to one list under its filters, and is refused by every other, alike by both transports."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from service.rpc.generated.driftgate.v1 import (
    api_keys_pb2,
    datasets_pb2,
    jobs_pb2,
    results_pb2,
    studies_pb2,
    webhooks_pb2,
)
from service.rpc.service_table import services
from service.storage.result_store import ResultStore
from tests.service.rpc.parity_worlds import SPEC, Key, open_world
from tests.service.rpc.refusals import refusal_by_grpc, refusal_by_rest
from tests.service.studies.played_runs import STUDY
from tests.worker_records import a_batch, a_sample

ADMIN = Key("Bearer an admin's key")


@dataclass(frozen=True)
class Listing:
    """A list of two rows or more, as it is asked for by each transport."""

    path: str
    filters: dict[str, str]
    call: Any
    request: Any

    def by_rest(self, world, **page):
        return world.rest.get(self.path, params=self.filters | page, headers=ADMIN.headers)

    def by_grpc(self, **page):
        request = type(self.request)()
        request.CopyFrom(self.request)
        for name, value in page.items():
            setattr(request, name, value)
        return self.call(request, metadata=ADMIN.metadata)

    def __str__(self):
        return f"{self.path} {self.filters}"


@pytest.fixture
def world(settings, exit_stack):
    digest = hashlib.sha256(b"an admin's key").hexdigest()
    world = open_world(
        settings.model_copy(update={"api_key_sha256": (digest,)}),
        exit_stack,
    )
    world.rest.headers.update(ADMIN.headers)
    return world


@pytest.fixture
def sampled_jobs(world, job_store):
    """The ids of two jobs with samples of two stages."""
    result_store = ResultStore(world.database)
    ids = []
    for _ in range(2):
        ids.append(world.job())
        lease = job_store.claim(queue="default", owner="w", lease_s=60).lease
        job_store.start_running(lease)
        for stage in ("baseline", "final"):
            result_store.record_samples(lease, a_batch(stage, [a_sample(0), a_sample(1)]))
    return ids


@pytest.fixture
def webhooks(world):
    """The ids of two webhooks with deliveries."""
    ids = []
    for _ in range(2):
        answer = world.rest.post("/v1/webhooks", json={"url": "https://hooks.example.org/"})
        ids.append(answer.json()["id"])
        for _ in range(2):
            assert world.rest.post(f"/v1/webhooks/{ids[-1]}:test").status_code < 300
    return ids


@pytest.fixture
def listings(world, sampled_jobs, webhooks):
    """Every list of the API, some of them under several filters."""
    for name in ("a", "b"):
        assert world.rest.post("/v1/api-keys", json={"name": name}).status_code == 201
        assert world.rest.post("/v1/studies", json=STUDY).status_code == 201
        world.dataset(b'{"problem": "%s"}' % name.encode())
    stubs = world.stubs

    def of_samples(job_id, **filters):
        request = results_pb2.ListSamplesRequest(job_id=job_id, **filters)
        return Listing(f"/v1/jobs/{job_id}/samples", filters, stubs.results.ListSamples, request)

    def of_deliveries(webhook_id, filters, **fields):
        request = webhooks_pb2.ListWebhookDeliveriesRequest(webhook_id=webhook_id, **fields)
        path = f"/v1/webhooks/{webhook_id}/deliveries"
        return Listing(path, filters, stubs.webhooks.ListWebhookDeliveries, request)

    pending = webhooks_pb2.DELIVERY_STATE_PENDING
    return [
        Listing("/v1/jobs", {}, stubs.jobs.ListJobs, jobs_pb2.ListJobsRequest()),
        Listing(
            "/v1/jobs",
            {"model": SPEC["student"]["model"]},
            stubs.jobs.ListJobs,
            jobs_pb2.ListJobsRequest(model=SPEC["student"]["model"]),
        ),
        Listing("/v1/studies", {}, stubs.studies.ListStudies, studies_pb2.ListStudiesRequest()),
        Listing(
            "/v1/datasets", {}, stubs.datasets.ListDatasets, datasets_pb2.ListDatasetsRequest()
        ),
        Listing("/v1/api-keys", {}, stubs.api_keys.ListApiKeys, api_keys_pb2.ListApiKeysRequest()),
        Listing(
            "/v1/webhooks", {}, stubs.webhooks.ListWebhooks, webhooks_pb2.ListWebhooksRequest()
        ),
        of_samples(sampled_jobs[0]),
        of_samples(sampled_jobs[1]),
        of_samples(sampled_jobs[0], stage="baseline"),
        of_samples(sampled_jobs[0], stage="final"),
        of_samples(sampled_jobs[0], benchmark="arithmetic"),
        of_samples(sampled_jobs[0], verdict="right"),
        of_deliveries(webhooks[0], {}),
        of_deliveries(webhooks[1], {}),
        of_deliveries(webhooks[0], {"state": "pending"}, state=pending),
        of_deliveries(webhooks[0], {"event_type": "webhook.test"}, event_type="webhook.test"),
    ]


def test_a_token_goes_on_with_its_own_list_and_is_refused_by_every_other(world, listings):
    tokens = {
        str(listing): listing.by_rest(world, page_size=1).json()["next_page_token"]
        for listing in listings
    }

    assert all(len(token) < 200 for token in tokens.values())
    for listing in listings:
        own = tokens[str(listing)]
        assert listing.by_rest(world, page_size=2, page_token=own).status_code == 200, listing
        listing.by_grpc(page_size=2, page_token=own)
        for owner, token in tokens.items():
            foreign = token if owner != str(listing) else "bad"
            answer = listing.by_rest(world, page_token=foreign)
            assert answer.status_code == 400, (str(listing), owner)
            _, by_grpc = refusal_by_grpc(
                lambda listing=listing, token=foreign: listing.by_grpc(page_token=token)
            )
            assert by_grpc == refusal_by_rest(answer)
            assert (by_grpc.code, by_grpc.fields) == ("INVALID_ARGUMENT", ["page_token"])
            assert by_grpc.message.startswith("page_token is not one that this list returned")


def test_both_transports_give_the_same_token(world, listings):
    for listing in listings:
        by_rest = listing.by_rest(world, page_size=1).json()["next_page_token"]
        assert listing.by_grpc(page_size=1).next_page_token == by_rest


def test_every_method_that_takes_a_page_token_is_among_these_lists(operations, listings):
    with_tokens = {
        method.input_type.full_name
        for descriptor, _ in services(operations)
        for method in descriptor.methods
        if "page_token" in method.input_type.fields_by_name
    }

    assert {listing.request.DESCRIPTOR.full_name for listing in listings} == with_tokens
