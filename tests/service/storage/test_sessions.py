import json
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url

from service.errors import DriftgateError, ErrorCode
from service.storage import engines
from service.storage.job_rows import SELECT_JOB
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database, migrate
from service.storage.tables import Table
from tests.worker.small_jobs import small_job

JOB_ID = "0199" * 8


def test_the_migrations_make_exactly_the_schema_of_the_tables(empty_database_url):
    migrate(empty_database_url)
    database = Database(empty_database_url)
    with database.read() as session:
        connection = session.connection()
        differences = compare_metadata(MigrationContext.configure(connection), Table.metadata)
        constraint_names = {
            constraint["name"]
            for table in Table.metadata.tables
            for constraint in inspect(connection).get_foreign_keys(table)
        }
    database.close()
    assert differences == []
    assert "fk_update_metrics_job_id_epoch_attempts" in constraint_names


def test_rows_of_the_revision_before_are_readable_after_an_upgrade(empty_database_url):
    at = "2026-01-02 03:04:05+00:00"
    spec = json.dumps(
        {
            "student": {"model": "s"},
            "teacher": {"model": "t"},
            "prompts": {"problems": {"source": "arithmetic"}},
        }
    )
    statements = [
        (
            "INSERT INTO jobs (id, state, queue, spec, spec_version, warnings, version, last_event_seq, "
            "step, update_index, lease_epoch, attempts_without_progress, created_at, updated_at) VALUES "
            f"('{JOB_ID}', 'succeeded', 'default', '{spec}', 1, '[]', 3, 0, 1, 2, 1, 0, '{at}', '{at}')"
        ),
        (
            "INSERT INTO attempts (job_id, epoch, owner, started_at) "
            f"VALUES ('{JOB_ID}', 1, 'worker', '{at}')"
        ),
        (
            "INSERT INTO evaluations (job_id, epoch, stage, benchmark, update_index, problems_sha256, "
            "samples_per_problem, k, temperature, top_p, max_response_tokens, seed, num_response_tokens, "
            f"seconds, created_at) VALUES ('{JOB_ID}', 1, 'final', 'digits', 2, '', 4, '[1, 4]', 1, 1, 9, "
            f"0, 40, 1, '{at}')"
        ),
        (
            "INSERT INTO evaluation_problems (job_id, epoch, stage, benchmark, position, problem_id, n, c, "
            f"num_no_answer, num_truncated) VALUES ('{JOB_ID}', 1, 'final', 'digits', 0, 'p0', 4, 1, 0, 1)"
        ),
    ]
    migrate(empty_database_url, revision="0001")
    database = Database(empty_database_url)
    with database.transaction() as session:
        for statement in statements:
            session.execute(text(statement))
    database.close()

    migrate(empty_database_url)

    database = Database(empty_database_url)
    job = JobStore(database).get(JOB_ID)
    (result,) = ResultStore(database).results(JOB_ID, include_problems=True).evaluations
    database.close()
    assert (job.spec.kind, job.progress.evaluated_samples) == ("distillation", 0)
    assert (result.pass_at["1"].estimate, result.profile, result.grader) == (
        0.25,
        "custom",
        "not recorded",
    )
    assert (result.maj_at, result.token_budgets) == ({}, ()), "its samples were not kept"


def test_processes_that_start_together_may_all_migrate(empty_database_url):
    program = "import sys; from service.storage.sessions import migrate; migrate(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, empty_database_url]) for _ in range(4)
    ]
    assert [process.wait(timeout=180) for process in processes] == [0, 0, 0, 0]


def test_a_new_file_that_another_process_writes_is_waited_for(empty_sqlite_url):
    """The switch to write-ahead logging needs the file alone, and SQLite itself would not wait."""
    path = Path(make_url(empty_sqlite_url).database)
    path.parent.mkdir(parents=True)
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, lambda: writer.execute("COMMIT"))
    release.start()
    migrate(empty_sqlite_url)
    release.join()
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    writer.close()


def write_and_break(database):
    with database.transaction() as session:
        session.execute(text("INSERT INTO alembic_version (version_num) VALUES ('left over')"))
        raise RuntimeError


def test_an_error_leaves_nothing_of_the_transaction(database):
    with pytest.raises(RuntimeError):
        write_and_break(database)
    with database.read() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).all() == [("0007",)]


def test_a_writer_sees_what_another_wrote_while_it_waited(database):
    """Both read the counter before they write it; with deferred locking one of them would fail."""

    def add_one():
        with database.transaction() as session:
            lock = " FOR UPDATE" if database.is_postgres else ""
            (value,) = session.execute(text(f"SELECT value FROM counter{lock}")).one()
            session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    with database.transaction() as session:
        session.execute(text("CREATE TABLE counter (value INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))
    threads = [threading.Thread(target=add_one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.execute(text("SELECT value FROM counter")).one() == (16,)


@pytest.mark.parametrize(
    "url",
    ["postgresql://nobody@127.0.0.1:1/nothing", "sqlite:////proc/driftgate.db"],
)
def test_a_database_that_is_away_is_named_as_such(url):
    database = Database(url)
    jobs = JobStore(database)

    def write() -> None:
        with database.transaction() as session:
            session.execute(text("SELECT 1"))

    for ask in (
        write,
        lambda: jobs.create(small_job(), warnings=(), queue="default"),
        lambda: jobs.get(JOB_ID),
    ):
        with pytest.raises(DriftgateError) as caught:
            ask()
        assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
    database.close()


def test_a_poll_has_the_rows_of_an_ordinary_read(database):
    job = JobStore(database).create(small_job(), warnings=(), queue="default")
    place = {"job_id": job.id}
    (polled,) = database.polled_rows(SELECT_JOB, place)
    (ordinary,) = database.rows(SELECT_JOB, place)
    assert polled._asdict() == ordinary._asdict()
    assert JobStore(database).get(job.id).model_dump_json() == job.model_dump_json()
    assert database.polled_rows(SELECT_JOB, {"job_id": "0" * 32}) == []


def test_a_polled_job_has_its_times_in_utc_whatever_the_server_s_zone(postgres_url):
    elsewhere = make_url(postgres_url).update_query_dict({"options": "-c timezone=Asia/Kolkata"})
    database = Database(elsewhere.render_as_string(hide_password=False))
    job = JobStore(database).create(small_job(), warnings=(), queue="default")
    polled = JobStore(database).get(job.id)
    database.close()
    assert polled.created_at.utcoffset() == timedelta(0)
    assert polled.model_dump_json() == job.model_dump_json()


def test_a_poll_on_a_connection_that_was_cut_asks_again(postgres_url):
    database = Database(postgres_url)
    job = JobStore(database).create(small_job(), warnings=(), queue="default")
    place = {"job_id": job.id}
    database.polled_rows(SELECT_JOB, place)
    cut_other_connections(database)
    assert database.polled_rows(SELECT_JOB, place)[0].id == job.id
    assert database.num_connections_in_use == 0
    database.close()


def test_a_submission_on_a_connection_that_was_cut_is_refused_and_the_next_has_a_new_one(
    postgres_url, monkeypatch
):
    monkeypatch.setattr(engines, "PING_AFTER_IDLE_S", 3600)
    database = Database(postgres_url)
    jobs = JobStore(database)

    def submit() -> str:
        spec = small_job()
        return jobs.create(spec, warnings=(), queue="default", idempotency_key="once").id

    with database._single.connect(), database._single.connect():
        pass  # both wait in the pool now
    cut_other_connections(database)
    with pytest.raises(DriftgateError) as caught:
        submit()
    assert caught.value.code is ErrorCode.DATABASE_UNAVAILABLE
    assert jobs.get(submit()).id == submit()
    assert database.num_connections_in_use == 0
    database.close()


def cut_other_connections(database: Database) -> None:
    with database.read() as session:
        num_cut = session.scalar(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
        )
    assert num_cut >= 1


@pytest.mark.parametrize(("query", "idle_s"), [("", "10"), ("keepalives_idle=77", "77")])
def test_a_server_that_vanished_is_given_up_within_half_a_minute(postgres_url, query, idle_s):
    database = Database(f"{postgres_url}{'&' if '?' in postgres_url else '?'}{query}")
    with database.write() as connection:
        given = connection.connection.driver_connection.info.get_parameters()
    database.close()
    assert given["tcp_user_timeout"] == "30000"
    probes_s = int(given["keepalives_interval"]) * int(given["keepalives_count"])
    assert (given["keepalives_idle"], probes_s) == (idle_s, 15)
