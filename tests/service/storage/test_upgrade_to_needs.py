"""Jobs that were submitted before jobs had needs."""

import json

import pytest
from sqlalchemy import text

from service.jobs.capabilities import Capabilities
from service.storage.invariants import find_violations
from service.storage.job_store import JobStore
from service.storage.sessions import Database, migrate

INSERT_JOB = text(
    "INSERT INTO jobs (id, kind, labels, priority, change_seq, state, queue, spec, spec_version, warnings, version, "
    "last_event_seq, step, update_index, evaluated_samples, samples_to_evaluate, lease_epoch, "
    "attempts_without_progress, created_at, updated_at) VALUES (:id, :kind, '{}', 0, 1, 'queued', 'q', :spec, 1, "
    "'[]', 1, 1, 0, 0, 0, 0, 0, 0, :at, :at)"
)
INSERT_EVENT = text(
    "INSERT INTO job_events (job_id, seq, at, type, state, attempt, message) "
    "VALUES (:id, 1, :at, 'state_changed', 'queued', 0, 'Submitted.')"
)


@pytest.fixture
def upgraded(empty_database_url):
    """One job for each device that a spec may name, in this order, and one of a kind without a device."""
    specs = [
        {
            "student": {"model": "s"},
            "teacher": {"model": "t"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "compute": {"device": device},
        }
        for device in ("cpu", "cuda", "auto")
    ]
    specs.append({"kind": "regrade", "job_id": "0" * 32})
    migrate(empty_database_url, revision="0003")
    database = Database(empty_database_url)
    with database.transaction() as session:
        for number, spec in enumerate(specs):
            row = {"id": f"{number:032x}", "at": f"2026-01-02 03:04:0{number}+00:00"}
            kind = spec.get("kind", "distillation")
            session.execute(INSERT_JOB, {**row, "kind": kind, "spec": json.dumps(spec)})
            session.execute(INSERT_EVENT, row)
    database.close()
    migrate(empty_database_url)
    database = Database(empty_database_url)
    yield database
    database.close()


def test_they_are_claimed_by_workers_that_have_their_device(upgraded):
    def claim(device):
        found = JobStore(upgraded).claim(
            queue="q", owner="worker", lease_s=60, capabilities=Capabilities(device)
        )
        return found and int(found.lease.job_id, 16)

    assert [claim("cpu") for _ in range(4)] == [0, 2, 3, None]
    assert claim("cuda") == 1
    assert list(find_violations(upgraded)) == []
