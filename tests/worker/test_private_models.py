"""Jobs on a hub model that only the worker can read, and on an uploaded set, in this process."""

import json
import shutil
import threading

import pytest

from service.datasets import DatasetOperations
from service.errors import DriftgateError, ErrorCode
from service.jobs.arithmetic import arithmetic_problems
from service.jobs.parsing import parse_spec
from service.jobs.problem_sources import ArithmeticSource
from service.jobs.state import JobState
from service.preflight.folder_signature import BUILTIN_FOLDER
from service.settings import Settings
from service.storage.dataset_store import DatasetStore
from service.storage.sessions import Database
from tests.service.preflight.fake_hub import COMMIT, FakeHub
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.attempt_engines import transformers_engine

PRIVATE = {"model": "Tiny/model", "hub_token": {"secret": "HUB_TOKEN"}}
WEIGHTS = f"Tiny/model/resolve/{COMMIT}/model.safetensors"


@pytest.fixture
def hub(tmp_path):
    server = FakeHub(tmp_path / "hub")
    server.token = "hf_hidden"
    shutil.copytree(BUILTIN_FOLDER / "arithmetic-student", tmp_path / "hub" / "Tiny" / "model")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path, sqlite_url, hub):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "HUB_TOKEN").write_text("hf_hidden\n")
    return Settings(
        data_dir=tmp_path / "var",
        database_url=sqlite_url,
        secrets_dir=tmp_path / "secrets",
        hub_endpoint=hub.url,
        hub_cache_dir=tmp_path / "cache",
        hub_allow=("Tiny/*",),
    )


@pytest.fixture
def bench(settings):
    return Bench(settings.database_url, settings.resolved_artifact_root())


@pytest.fixture
def source(settings):
    """Four uploaded problems of the kind that the built-in models know."""
    problems = arithmetic_problems(ArithmeticSource(num_problems=4), split="training")
    rows = [json.dumps(one.model_dump()).encode() + b"\n" for one in problems]
    database = Database(settings.database_url)
    uploaded = DatasetOperations(store=DatasetStore(database), settings=settings).upload(rows)
    database.close()
    return {"source": "dataset", "dataset_id": uploaded.id}


def evaluation_on(source):
    benchmark = {
        "name": "own",
        "problems": source,
        "format": {"instruction": "", "chat_template": "never"},
    }
    return parse_spec(
        {
            "kind": "evaluation",
            "model": PRIVATE,
            "evaluation": {
                "benchmarks": [benchmark],
                "samples_per_problem": 8,
                "max_response_tokens": 8,
            },
            "max_prompt_tokens": 64,
            "compute": {"device": "cpu"},
        }
    )


def test_the_worker_reads_the_model_with_the_secret_and_the_uploaded_problems(
    bench, settings, source, hub
):
    job = bench.run_here(evaluation_on(source), settings=settings, make_engine=transformers_engine)

    assert job.state is JobState.SUCCEEDED
    assert WEIGHTS in hub.paths
    (evaluation,) = bench.results.results(job.id, include_problems=True).evaluations
    assert len(evaluation.problems) == 4
    checked = [one for one in bench.jobs.events(job.id).events if one.type == "checked_by_worker"]
    assert [one.message for one in checked] == ["Models checked. Warnings: none"]


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_fetched(bench, settings, hub):
    path = hub.root / "Tiny" / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"vocab_size": config["vocab_size"] + 8}))
    spec = small_job(teacher=PRIVATE)

    with pytest.raises(DriftgateError) as refusal:
        bench.run_here(spec, settings=settings, make_engine=transformers_engine)

    assert refusal.value.code is ErrorCode.VOCABULARY_MISMATCH
    assert "Tiny/model/resolve/main/config.json" in hub.paths
    assert WEIGHTS not in hub.paths


def test_a_worker_without_the_secret_fails_the_job_naming_it(bench, settings, source):
    (settings.secrets_dir / "HUB_TOKEN").unlink()

    with pytest.raises(DriftgateError) as refusal:
        bench.run_here(evaluation_on(source), settings=settings, make_engine=transformers_engine)

    assert refusal.value.code is ErrorCode.SECRET_NOT_FOUND
    assert refusal.value.violations[0].field == "model.hub_token"
