import json

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from service.cli import app
from service.jobs.capabilities import Capabilities
from service.jobs.spec import JobSpec
from service.settings import load_settings
from service.storage.job_store import JobStore
from service.storage.worker_store import WorkerProfile, WorkerStore

SPEC = JobSpec.model_validate(
    {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
    }
)


@pytest.fixture
def run(database_url, monkeypatch):
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    load_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, arguments)
    load_settings.cache_clear()


@pytest.fixture
def worker(database):
    profile = WorkerProfile(
        owner="host:7:abc",
        host="host",
        capabilities=Capabilities("cuda", 80 * 2**30),
        queues=("default", "slow"),
        version="1.2.3",
        aside_s=600.0,
    )
    WorkerStore(database).see(profile)
    return profile


def test_workers_are_listed_with_what_they_have(run, worker):
    output = run("workers").output
    for part in ("host:7:abc", "cuda", "80.0 GiB", "default, slow", "1.2.3", "live"):
        assert part in output


def test_workers_are_listed_as_json(run, worker):
    (line,) = run("workers", "--json").output.splitlines()
    found = json.loads(line)
    assert found["owner"] == "host:7:abc"
    assert (found["device"], found["memory_bytes"]) == ("cuda", 80 * 2**30)
    assert found["queues"] == ["default", "slow"]
    assert (found["is_live"], found["aside_until"]) == (True, None)


def test_a_worker_that_is_aside_says_until_when_and_why(run, worker, database):
    with database.transaction() as session:
        session.execute(
            text(
                "UPDATE workers SET aside_until = '2999-01-01 00:00:00+00', aside_reason = 'jobs died'"
            )
        )
    assert "aside until 00:00:00Z: jobs died" in run("workers").output


def test_an_audit_without_findings_ends_well(run, database):
    JobStore(database).create(SPEC, warnings=(), queue="q")
    result = run("audit")
    assert (result.exit_code, result.output) == (0, "No job and no study contradicts itself.\n")


def test_an_audit_names_the_job_and_ends_with_status_1(run, database):
    job_id = JobStore(database).create(SPEC, warnings=(), queue="q").id
    with database.transaction() as session:
        session.execute(text("UPDATE jobs SET lease_owner = 'nobody'"))
    result = run("audit")
    assert result.exit_code == 1
    assert f"job {job_id} breaks an invariant" in result.output


def test_a_database_that_is_away_is_one_sentence(run, monkeypatch):
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    load_settings.cache_clear()
    result = run("audit")
    assert result.exit_code == 1
    assert "DATABASE_UNAVAILABLE" in result.output
