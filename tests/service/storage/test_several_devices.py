"""Jobs that ask for several devices, and the workers that have them."""

import pytest

from service.jobs.capabilities import Capabilities
from service.jobs.spec import JobSpec
from service.storage.unmet_needs import tell_of_unmet_needs
from service.storage.worker_store import WorkerProfile, WorkerStore


@pytest.fixture
def create(job_store, spec):
    def make(gpus, *, device="auto", memory_bytes=None):
        changes = {"compute": {"device": device}, "resources": {"gpus": gpus}}
        return job_store.create(
            JobSpec.model_validate(spec.model_dump() | changes),
            warnings=(),
            queue="default",
            needs_memory_bytes=memory_bytes,
        ).id

    return make


def claimed(job_store, device, num_devices, memory_bytes=None):
    claim = job_store.claim(
        queue="default",
        owner="worker",
        lease_s=60,
        capabilities=Capabilities(device, memory_bytes, num_devices),
    )
    return claim and claim.lease.job_id


def test_a_job_goes_to_a_worker_with_as_many_devices_and_no_other(job_store, create):
    job_id = create(4, device="cuda")

    assert claimed(job_store, "cuda", 3) is None
    assert claimed(job_store, "cpu", 8) is None
    assert claimed(job_store, "cuda", 8) == job_id


def test_the_memory_that_it_needs_is_that_of_each_device(job_store, create):
    job_id = create(2, memory_bytes=3 * 2**30)

    assert claimed(job_store, "cuda", 2, 2 * 2**30) is None
    assert claimed(job_store, "cuda", 2, 4 * 2**30) == job_id


def test_a_large_job_that_waits_does_not_hold_up_a_small_one(job_store, create):
    create(8)
    small = create(1)

    assert claimed(job_store, "cpu", 1) == small


def test_a_job_that_asks_for_more_than_any_worker_has_is_told_so(database, job_store, create):
    job_id = create(4, device="cuda", memory_bytes=60 * 2**30)
    WorkerStore(database).see(
        WorkerProfile("w", "host", Capabilities("cuda", 80 * 2**30, 2), ("default",), "1", 1.0)
    )
    workers = WorkerStore(database).list_workers(live_within_s=60)
    assert workers[0].profile.capabilities == Capabilities("cuda", 80 * 2**30, 2)

    assert tell_of_unmet_needs(database, workers, waiting_s=0.0, limit=9) == 1

    told = [event.message for event in job_store.events(job_id).events if event.type == "waiting"]
    need = "needs 4 × cuda with 60.0 GiB each on queue default"
    assert told == [f"Waiting: {need}; the live workers have 2 × cuda with 80.0 GiB each."]
