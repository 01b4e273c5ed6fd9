"""Triggers of the database that note each change of a job and each write of a worker, and what stands at the end."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import create_engine, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from service.jobs.catalog import Metric
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.jobs.study_spec import STUDY_LABEL
from service.jobs.webhooks import DeliveryState
from service.storage.attempt_endings import DEATHS
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from service.storage.tables import (
    AttemptRow,
    DeletedJobRow,
    IdempotencyKeyRow,
    JobEventRow,
    JobRow,
    WebhookDeliveryRow,
)
from tests.chaos.history import Change, Event, StoredJob, Write
from tests.chaos.scripted_training import WEIGHTS_FILE
from tests.chaos.study_audit import (
    STUDY_TABLES,
    STUDY_TRIGGERS,
    stored_studies,
    study_changes,
    study_jobs,
    study_submissions,
)
from tests.chaos.study_history import StudyCall, StudyEvidence

KEY_LABEL = "chaos-key"

TABLES = """
CREATE TABLE chaos_changes (
    id {serial}, job_id TEXT, old_state TEXT, new_state TEXT, old_version BIGINT,
    new_version BIGINT, old_epoch BIGINT, new_epoch BIGINT
);
CREATE TABLE chaos_writes (
    id {serial}, job_id TEXT, kind TEXT, epoch BIGINT, update_index BIGINT, job_epoch BIGINT,
    job_state TEXT
)
"""
NOTE_CHANGE = """
INSERT INTO chaos_changes
    (job_id, old_state, new_state, old_version, new_version, old_epoch, new_epoch)
VALUES (NEW.id, OLD.state, NEW.state, OLD.version, NEW.version, OLD.lease_epoch, NEW.lease_epoch)
"""
# A heartbeat changes the lease's end alone, and is no change to anyone.
IS_CHANGE = (
    "OLD.state <> NEW.state OR OLD.version <> NEW.version OR OLD.lease_epoch <> NEW.lease_epoch"
)
NOTE_WRITE = """
INSERT INTO chaos_writes (job_id, kind, epoch, update_index, job_epoch, job_state)
SELECT NEW.job_id, '{table}', NEW.epoch, NEW.update_index, jobs.lease_epoch, jobs.state
FROM jobs WHERE jobs.id = NEW.job_id
"""
WRITTEN = ("update_metrics", "checkpoints")


def install_triggers(database_url: str) -> None:
    is_postgres = make_url(database_url).get_backend_name() == "postgresql"
    triggers = [
        ("changes", "UPDATE", "jobs", f"WHEN ({IS_CHANGE})", NOTE_CHANGE),
        *((table, "INSERT", table, "", NOTE_WRITE.format(table=table)) for table in WRITTEN),
        *STUDY_TRIGGERS,
    ]
    serial = "SERIAL PRIMARY KEY" if is_postgres else "INTEGER PRIMARY KEY"
    statements = f"{TABLES};{STUDY_TABLES}".format(serial=serial).split(";")
    create = _create_on_postgres if is_postgres else _create_on_sqlite
    statements += [statement for trigger in triggers for statement in create(*trigger)]
    engine = create_engine(make_url(database_url).set(drivername=_driver(is_postgres)))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def _create_on_postgres(name: str, event: str, table: str, condition: str, note: str) -> list[str]:
    function = f"chaos_note_{name}()"
    body = f"$$ BEGIN {note}; RETURN NULL; END $$"
    when = f"AFTER {event} ON {table} FOR EACH ROW {condition}"
    return [
        f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS {body}",
        f"CREATE TRIGGER chaos_{name} {when} EXECUTE FUNCTION {function}",
    ]


def _create_on_sqlite(name: str, event: str, table: str, condition: str, note: str) -> list[str]:
    return [f"CREATE TRIGGER chaos_{name} AFTER {event} ON {table} {condition} BEGIN {note}; END"]


def _driver(is_postgres: bool) -> str:
    return "postgresql+psycopg" if is_postgres else "sqlite"


class Audit:
    """Reads of a run's database, for the checker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._results = ResultStore(database)

    def jobs(self) -> dict[str, StoredJob]:
        with self._database.read() as session:
            rows = session.scalars(select(JobRow)).all()
            found = [(row, _events(session, row.id), _attempts(session, row.id)) for row in rows]
        return {row.id: self._stored(row, events, counts) for row, events, counts in found}

    def num_by_state(self) -> dict[str, int]:
        with self._database.read() as session:
            counts = select(JobRow.state, func.count()).group_by(JobRow.state)
            return dict(session.execute(counts).all())

    def ids_in(self, *states: JobState) -> list[str]:
        with self._database.read() as session:
            return list(session.scalars(select(JobRow.id).where(JobRow.state.in_(states))))

    def deleted(self) -> frozenset[str]:
        with self._database.read() as session:
            return frozenset(session.scalars(select(DeletedJobRow.job_id)))

    def keys(self) -> dict[str, str]:
        with self._database.read() as session:
            rows = session.execute(select(IdempotencyKeyRow.key, IdempotencyKeyRow.job_id))
            return dict(rows.all())

    def changes(self) -> list[Change]:
        query = (
            "SELECT job_id, old_state, new_state, old_version, new_version, old_epoch, new_epoch "
            "FROM chaos_changes ORDER BY id"
        )
        with self._database.read() as session:
            return [
                Change(job_id, JobState(old), JobState(new), *numbers)
                for job_id, old, new, *numbers in session.execute(text(query))
            ]

    def studies(self, calls: Sequence[StudyCall]) -> StudyEvidence:
        """With what clients asked for of studies."""
        with self._database.read() as session:
            return StudyEvidence(
                calls=calls,
                studies=stored_studies(session),
                jobs=study_jobs(session),
                changes=study_changes(session),
                submissions=study_submissions(session),
            )

    def undelivered(self) -> list[str]:
        """Deliveries of webhooks that no receiver has accepted."""
        with self._database.read() as session:
            rows = session.scalars(
                select(WebhookDeliveryRow).where(
                    WebhookDeliveryRow.state != DeliveryState.DELIVERED
                )
            )
            return [
                f"{row.event_type} of event {row.event_seq} of job {row.job_id} is {row.state}"
                for row in rows
            ]

    def writes(self) -> list[Write]:
        query = (
            "SELECT job_id, kind, epoch, update_index, job_epoch, job_state "
            "FROM chaos_writes ORDER BY id"
        )
        with self._database.read() as session:
            return [
                Write(*columns, job_state=JobState(state))
                for *columns, state in session.execute(text(query))
            ]

    def _stored(self, row: JobRow, events: Sequence[Event], counts: tuple[int, int]) -> StoredJob:
        spec = JobSpec.model_validate(row.spec)
        num_deaths, num_open = counts
        return StoredJob(
            id=row.id,
            key=spec.labels.get(KEY_LABEL),
            seed=spec.seed,
            num_updates=spec.num_updates,
            state=JobState(row.state),
            version=row.version,
            epoch=row.lease_epoch,
            failure_code=row.failure and row.failure["code"],
            events=events,
            losses=self._losses(row.id),
            weights=self._final_weights(row.id),
            labels=row.labels,
            num_deaths=num_deaths,
            num_open_attempts=num_open,
            study_id=spec.labels.get(STUDY_LABEL),
        )

    def _losses(self, job_id: str) -> list[tuple[int, float | None]]:
        metrics = self._results.metrics(job_id, names=[Metric.LOSS])
        return list(zip(metrics.update, metrics.columns.get(Metric.LOSS, ()), strict=True))

    def _final_weights(self, job_id: str) -> bytes | None:
        final = [each for each in self._results.latest_checkpoints(job_id) if each.final]
        if len(final) != 1:
            return None
        folder = Path(final[0].uri)
        return (
            (folder / WEIGHTS_FILE).read_bytes()
            if is_sound(folder, manifest_sha256=final[0].manifest_sha256)
            else None
        )


def is_sound(folder: Path, *, manifest_sha256: str) -> bool:
    """Whether every file is as the manifest, and the manifest as the row, says."""
    try:
        manifest = (folder / "manifest.json").read_bytes()
        files = {
            name: (_sha256((folder / name).read_bytes()), entry["sha256"])
            for name, entry in json.loads(manifest)["files"].items()
        }
    except OSError:
        return False
    return _sha256(manifest) == manifest_sha256 and all(one == two for one, two in files.values())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _events(session: Session, job_id: str) -> list[Event]:
    rows = session.scalars(
        select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(JobEventRow.seq)
    )
    return [Event(r.seq, r.type, JobState(r.state), r.attempt, r.message) for r in rows]


def _attempts(session: Session, job_id: str) -> tuple[int, int]:
    """How many died, and how many go on."""
    rows = session.scalars(select(AttemptRow).where(AttemptRow.job_id == job_id)).all()
    died = [row for row in rows if row.ending in DEATHS]
    return len(died), len([row for row in rows if row.ended_at is None])
