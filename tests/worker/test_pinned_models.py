"""A job goes on with the commit of the hub that it began with, wherever the branch points by then."""

import shutil
import threading

import pytest

from service.jobs.spec_fields import ModelSpec
from service.preflight.folder_signature import BUILTIN_FOLDER
from service.settings import Settings
from tests.service.preflight.fake_hub import COMMIT, FakeHub
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.attempt import Attempt
from worker.attempt_downloads import model_folder
from worker.attempt_end import StopRequestedError
from worker.attempt_engines import transformers_engine
from worker.recorder import Recorder
from worker.spool import Spool

LATER = "f" * 40
HUB_MODEL = {"model": "Tiny/model"}


@pytest.fixture
def hub(tmp_path):
    server = FakeHub(tmp_path / "hub")
    shutil.copytree(BUILTIN_FOLDER / "arithmetic-student", tmp_path / "hub" / "Tiny" / "model")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path, sqlite_url, hub):
    return Settings(
        data_dir=tmp_path / "var",
        database_url=sqlite_url,
        hub_endpoint=hub.url,
        hub_cache_dir=tmp_path / "cache",
        hub_allow=("Tiny/*",),
    )


@pytest.fixture
def bench(settings):
    return Bench(settings.database_url, settings.resolved_artifact_root())


def attempt_of(bench, claim, settings):
    directory = settings.data_dir / "attempt"
    directory.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(
        job_store=bench.jobs,
        result_store=bench.results,
        lease=claim.lease,
        spool=Spool(directory / "spool"),
    )
    return Attempt(
        lease=claim.lease,
        directory=directory,
        settings=settings,
        job_store=bench.jobs,
        result_store=bench.results,
        recorder=recorder,
        stop=threading.Event(),
        make_engine=transformers_engine,
    )


def test_a_job_tells_its_download_and_the_commit(bench, settings):
    spec = small_job(student=HUB_MODEL, steps=1, evaluation={})

    job = bench.run_here(spec, settings=settings, make_engine=transformers_engine)

    pinned = bench.jobs.event_messages(job.id, event_type="model_pinned")
    assert pinned == (f"student: Tiny/model at commit {COMMIT}",)
    (told,) = bench.jobs.event_messages(job.id, event_type="model_download")
    size = (settings.hub_cache_dir.rglob("model.safetensors").__next__()).stat().st_size
    assert told == (
        f"Downloading 1 files of weights of Tiny/model at commit {COMMIT[:12]}: {size:,} bytes."
    )


def test_another_host_fetches_the_commit_that_the_job_began_with(bench, settings, hub, tmp_path):
    job_id = bench.submit(small_job(student=HUB_MODEL, steps=1, evaluation={}))
    claim = bench.jobs.claim(queue="default", owner="test", lease_s=30)
    bench.jobs.start_running(claim.lease)
    model = ModelSpec.model_validate(HUB_MODEL)
    first = model_folder(attempt_of(bench, claim, settings), model, field="student")
    hub.commit = LATER
    elsewhere = settings.model_copy(update={"hub_cache_dir": tmp_path / "other"})
    attempt = attempt_of(bench, claim, elsewhere)

    second = model_folder(attempt, model, field="student")

    assert (first.name, second.name) == (COMMIT, COMMIT)
    assert second.is_relative_to(tmp_path / "other")
    # Nothing was written down of the teacher yet, which gets what the branch points to now.
    third = settings.model_copy(update={"hub_cache_dir": tmp_path / "third"})
    of_teacher = model_folder(attempt_of(bench, claim, third), model, field="teacher")
    assert of_teacher.name == LATER
    assert bench.jobs.event_messages(job_id, event_type="model_pinned") == (
        f"student: Tiny/model at commit {COMMIT}",
        f"teacher: Tiny/model at commit {LATER}",
    )


def test_a_worker_that_drains_while_it_downloads_stops(bench, settings):
    bench.submit(small_job(student=HUB_MODEL, steps=1, evaluation={}))
    claim = bench.jobs.claim(queue="default", owner="test", lease_s=30)
    bench.jobs.start_running(claim.lease)
    attempt = attempt_of(bench, claim, settings)
    attempt.stop.set()

    with pytest.raises(StopRequestedError):
        model_folder(attempt, ModelSpec.model_validate(HUB_MODEL), field="student")
