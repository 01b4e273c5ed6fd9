"""Export jobs on a real database: what the worker copies, and how they end where it cannot."""

import threading
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import RESUME_FILES
from service.jobs.parsing import parse_spec
from service.jobs.state import JobPhase
from service.storage.sessions import Database
from tests.saved_checkpoints import FILES, LOADABLE, lose, saved_job
from tests.worker.bench import Bench
from tests.worker.exports.fake_s3 import FakeS3
from tests.worker.exports.writable_hub import WritableHub
from tests.worker.small_jobs import small_job
from worker.attempt_engines import transformers_engine
from worker.training.step_batch import BATCH_FILE
from worker.training.trainer import OPTIMIZER_FILE, STATE_FILE


@pytest.fixture
def settings(settings_factory, sqlite_url, tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, value in {"ID": "AKIDEXAMPLE", "KEY": "s3cr3tkey", "HUB": "hf_s3cr3t"}.items():
        (secrets / name).write_text(f"{value}\n")
    return settings_factory(database_url=sqlite_url, secrets_dir=secrets)


@pytest.fixture
def bench(sqlite_url, settings):
    return Bench(sqlite_url, settings.resolved_artifact_root())


@pytest.fixture
def saved(sqlite_url, settings):
    database = Database(sqlite_url)
    yield saved_job(database, settings)
    database.close()


@pytest.fixture
def served():
    servers = []

    def serve(server):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


FOLDER = {"type": "folder", "path": "students/first"}


def export_of(job_id, destination=FOLDER, **fields):
    return parse_spec({"kind": "export", "job_id": job_id, "destination": destination} | fields)


def run_here(bench, settings, spec):
    return bench.run_here(spec, settings=settings, make_engine=transformers_engine)


def progress_of(bench, job_id):
    events = bench.jobs.events(job_id).events
    return [event.message for event in events if event.type == "export_progress"]


def test_the_files_of_a_resume_are_named_as_the_trainer_names_them():
    assert {OPTIMIZER_FILE, STATE_FILE, BATCH_FILE} == RESUME_FILES


def test_what_a_trained_job_exports_to_a_folder_is_a_model_that_loads(bench, settings):
    trained = run_here(bench, settings, small_job(steps=1, evaluation={"benchmarks": []}))

    job = run_here(bench, settings, export_of(trained.id))

    folder = settings.resolved_export_root() / FOLDER["path"]
    exported = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    saved = Path(bench.results.latest_checkpoints(trained.id)[0].uri)
    assert (folder / "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()
    assert exported.num_parameters() > 0
    assert AutoTokenizer.from_pretrained(folder, local_files_only=True)("1").input_ids
    assert not RESUME_FILES & {path.name for path in folder.iterdir()}
    num_files = len(progress_of(bench, job.id))
    assert progress_of(bench, job.id)[-1].startswith(f"Copied {num_files} of {num_files} files")


def test_a_folder_that_another_export_filled_is_not_written_to(bench, saved, settings):
    job = run_here(bench, settings, export_of(saved.job.id, step=2))
    assert len(progress_of(bench, job.id)) == len(LOADABLE)

    with pytest.raises(DriftgateError, match="not empty") as refusal:
        run_here(bench, settings, export_of(saved.job.id, step=4))
    assert refusal.value.code is ErrorCode.EXPORT_FAILED


def test_an_object_store_gets_the_secrets_of_the_worker_and_no_one_else_does(
    bench, saved, settings, served
):
    store = served(FakeS3())
    phases = set()

    def look(method, path):
        phases.add(bench.jobs.list_jobs(limit=1).jobs[0].phase)

    store.status_of = look
    destination = {
        "type": "object_store",
        "url": "s3://models/first",
        "endpoint": store.url,
        "credentials": {"access_key_id": {"secret": "ID"}, "secret_access_key": {"secret": "KEY"}},
    }
    with pytest.raises(DriftgateError, match="DRIFTGATE_EXPORT_ENDPOINTS"):
        run_here(bench, settings, export_of(saved.job.id, destination))
    listed = settings.model_copy(update={"export_endpoints": (store.url,)})
    job = run_here(bench, listed, export_of(saved.job.id, destination))

    assert {path.removeprefix("models/first/") for path in store.objects} == {
        *LOADABLE,
        "manifest.json",
    }
    assert phases == {JobPhase.EXPORTING}
    assert store.objects["models/first/model.safetensors"] == FILES["model.safetensors"]
    assert all("Credential=AKIDEXAMPLE/" in each for each in store.authorizations)
    told = job.model_dump_json() + bench.jobs.events(job.id).model_dump_json()
    assert "s3cr3tkey" not in told
    assert "AKIDEXAMPLE" not in told


def test_the_hub_gets_a_card_that_says_what_made_the_model(bench, saved, settings, served):
    hub = served(WritableHub())
    destination = {"type": "hub", "repo_id": "team/student", "token": {"secret": "HUB"}}
    online = settings.model_copy(update={"hub_endpoint": hub.url})

    run_here(bench, online, export_of(saved.job.id, destination, step=2))

    ((_, files),) = hub.commits
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: transformers\n---\n\n# taught\n")
    for text in (
        f"`{saved.job.id}`, checkpoint of step 2, update 4",
        "`builtin/arithmetic-student`",
        "`builtin/arithmetic-teacher`",
        "`teacher_topk`",
    ):
        assert text in card
    assert hub.authorizations == {"Bearer hf_s3cr3t"}


def test_a_secret_that_the_worker_lacks_fails_the_export_by_its_name(bench, saved, settings):
    destination = {"type": "hub", "repo_id": "team/student", "token": {"secret": "NONE"}}
    with pytest.raises(DriftgateError, match="NONE") as refusal:
        run_here(bench, settings, export_of(saved.job.id, destination))
    assert refusal.value.code is ErrorCode.SECRET_NOT_FOUND


def test_a_checkpoint_that_its_job_removed_meanwhile_is_said_to_be(
    bench, saved, settings, monkeypatch
):
    kept = saved.results.latest_checkpoints(saved.job.id)
    lose(saved, 4)
    with pytest.raises(DriftgateError) as refusal:
        run_here(bench, settings, export_of(saved.job.id))
    assert refusal.value.code is ErrorCode.RESOURCE_NOT_FOUND, (
        "its row is there: it was not removed"
    )

    answers = iter([kept, kept[1:]])
    monkeypatch.setattr(
        "service.storage.result_store.ResultStore.latest_checkpoints",
        lambda self, job_id: next(answers),
    )
    with pytest.raises(DriftgateError, match="removed its checkpoint of step 4") as refusal:
        run_here(bench, settings, export_of(saved.job.id))
    assert refusal.value.code is ErrorCode.EXPORT_FAILED
