import pytest

from service.jobs.capabilities import Capabilities
from service.jobs.spec import JobSpec
from service.storage.unmet_needs import tell_of_unmet_needs
from service.storage.worker_store import WorkerProfile, WorkerStore


@pytest.fixture
def create(job_store, spec):
    def make(device="auto", *, memory_bytes=None, queue="default"):
        of_device = JobSpec.model_validate(spec.model_dump() | {"compute": {"device": device}})
        return job_store.create(
            of_device, warnings=(), queue=queue, needs_memory_bytes=memory_bytes
        ).id

    return make


@pytest.fixture
def start_worker(database):
    def start(device="cpu", *, memory_bytes=None, queues=("default",)):
        WorkerStore(database).see(
            WorkerProfile(
                owner=f"{device}-{memory_bytes}-{queues}",
                host="host",
                capabilities=Capabilities(device, memory_bytes),
                queues=queues,
                version="1",
                aside_s=1.0,
            )
        )

    return start


@pytest.fixture
def tell(database):
    def explain(*, waiting_s=0.0, limit=100):
        workers = WorkerStore(database).list_workers(live_within_s=60)
        return tell_of_unmet_needs(database, workers, waiting_s=waiting_s, limit=limit)

    return explain


def told(job_store, job_id):
    events = job_store.events(job_id).events
    return [event.message for event in events if event.type == "waiting"]


def test_a_job_that_no_worker_can_take_is_told_why_and_only_once(
    job_store, create, start_worker, tell
):
    start_worker("cpu", memory_bytes=2**30)
    on_gpu, on_cpu = create("cuda"), create("cpu")
    assert [tell(), tell()] == [1, 0]
    assert told(job_store, on_cpu) == []
    assert told(job_store, on_gpu) == [
        "Waiting: needs cuda on queue default; the live workers have cpu with 1.0 GiB."
    ]


def test_it_is_told_anew_when_what_there_is_has_changed(job_store, create, start_worker, tell):
    job_id = create(memory_bytes=3 * 2**30)
    tell()
    start_worker("cpu", queues=("another",))
    tell()
    start_worker("cuda", memory_bytes=2**30)
    tell()
    need = "Waiting: needs a worker with 3.0 GiB on queue default"
    assert told(job_store, job_id) == [
        f"{need}; no worker is live.",
        f"{need}; no live worker serves that queue.",
        f"{need}; the live workers have cuda with 1.0 GiB.",
    ]
    start_worker("cuda", memory_bytes=4 * 2**30)
    assert tell() == 0


def test_a_need_that_was_met_and_is_missing_again_is_told_again(
    job_store, create, start_worker, tell, database
):
    job_id = create("cuda")
    tell()
    start_worker("cuda")
    tell()
    WorkerStore(database).leave("cuda-None-('default',)")
    tell()
    assert len(told(job_store, job_id)) == 2


def test_a_job_that_has_just_come_is_not_explained_yet(create, tell):
    create()
    assert tell(waiting_s=60) == 0


def test_no_more_are_told_at_once_than_asked_for(create, tell):
    for _ in range(3):
        create()
        create("cuda")
    assert [tell(limit=4), tell(limit=4), tell(limit=4)] == [4, 2, 0]
