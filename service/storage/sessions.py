"""Connections and transactions: the only place that commits, and the database's clock."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import (
    Connection,
    Dialect,
    Engine,
    Executable,
    Row,
    Select,
    func,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from service.errors import DriftgateError, ErrorCode
from service.storage.engines import (
    lose_connections_together,
    open_autocommit_engine,
    open_engine,
)
from service.storage.shared_commits import SharedCommits

MIGRATION_LOCK = 7_215_530_114  # any number, the same in every process that migrates

# As SQLAlchemy and as the driver name what a database that is away raises.
UNAVAILABLE = (
    *(OperationalError, InterfaceError),
    *(psycopg.OperationalError, psycopg.InterfaceError),
)

# What runs statements inside a transaction, with or without mapped objects.
Transaction = Session | Connection
Written = TypeVar("Written")


class DriverTransaction:
    """SQLite's driver in a transaction, for statements in its own words."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def exec_driver_sql(
        self, statement: str, parameters: Mapping[str, object] | tuple[()] = ()
    ) -> sqlite3.Cursor:
        return self._connection.execute(statement, parameters)


class Database:
    """One database: short transactions for writers, read-only sessions for the others.

    Threads may share it. Not to be carried over a fork.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(make_url(url))
        self._writer = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._single: Engine = self._engine.execution_options(sqlite_begin=None)
        self._driver_writes = SharedCommits(self._driver_transaction)
        if self.is_postgres:
            self._single = open_autocommit_engine(make_url(url))
            lose_connections_together(self._engine, self._single)

    @property
    def is_postgres(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @property
    def num_connections_in_use(self) -> int:
        """Connections of this process that something holds at this moment."""
        pools = {self._engine.pool, self._single.pool}
        return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end and rolls back on any error.

        On SQLite it holds the write lock from its first statement (BEGIN IMMEDIATE): a deferred
        transaction that reads and then writes fails at once when another one wrote in between.
        Raises DATABASE_UNAVAILABLE where the database does not answer.
        """
        with (
            _unavailable_named(),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As `transaction`, without mapped objects, at two thirds of the cost: for ready statements."""
        with _unavailable_named(), self._writer.begin() as connection:
            yield connection

    def driver_write(self, make: Callable[[DriverTransaction], Written]) -> Written:
        """What `make` returned once it was committed, on SQLite, by the driver alone.

        Writes that wait for each other share a transaction, so `make` may be called twice; and one that is to
        be undone raises. Raises DATABASE_UNAVAILABLE.
        """
        return self._driver_writes.write(make)

    @contextmanager
    def _driver_transaction(self) -> Iterator[DriverTransaction]:
        assert not self.is_postgres, "written_row is its way"
        try:
            with _unavailable_named(), closing(self._engine.raw_connection()) as pooled:
                connection: Any = pooled.driver_connection
                transaction = DriverTransaction(connection)
                try:
                    transaction.exec_driver_sql("BEGIN IMMEDIATE")
                    yield transaction
                    transaction.exec_driver_sql("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.rollback()
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes are dropped."""
        with _unavailable_named(), Session(self._engine) as session:
            yield session

    def rows(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[Any]]:
        """The rows of one statement that reads: without session and transaction, at a third of the cost."""
        with _unavailable_named(), self._single.connect() as connection:
            return connection.execute(statement, parameters or {}).all()

    def polled_rows(
        self, statement: Select[Any], parameters: Mapping[str, object]
    ) -> Sequence[Any]:
        """As `rows`, for what is asked most: on PostgreSQL by the driver alone, at half the cost.

        The rows have the same names. What fails is asked again by `rows`, which says what is wrong.
        """
        rows = self._rows_of_driver(statement, parameters) if self.is_postgres else None
        return self.rows(statement, parameters) if rows is None else rows

    def _rows_of_driver(
        self, statement: Select[Any], parameters: Mapping[str, object]
    ) -> Sequence[Any] | None:
        """None where the driver failed, be it to connect."""
        with _unavailable_named(), suppress(psycopg.Error), self._driver_cursor() as cursor:
            cursor.execute(_compiled(statement, self._single.dialect), parameters)
            rows: Sequence[Any] = cursor.fetchall()
            return rows
        return None

    def written_row(self, statement: str, parameters: Mapping[str, object]) -> Any | None:
        """The first row of one statement that writes, by the driver alone: its own transaction, on PostgreSQL.

        The row has the names of its columns.
        """
        assert self.is_postgres, "SQLite's writers take the lock first"
        with _unavailable_named(), self._driver_cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchone()

    @contextmanager
    def _driver_cursor(self) -> Iterator[Any]:
        """PostgreSQL's, for one statement in its own words."""
        with closing(self._single.raw_connection()) as connection:
            cursor: Any = connection.cursor()
            cursor.row_factory = namedtuple_row
            try:
                yield cursor
            except psycopg.Error:
                is_cut = cursor.connection.closed
                connection.invalidate()
                if is_cut:  # then the others are cut too
                    self.close()
                raise

    def now(self, session: Transaction) -> datetime:
        """The database's clock, UTC: every process compares leases by the same one."""
        if not self.is_postgres:
            return datetime.now(UTC)  # SQLite's own clock is this one, cut to milliseconds
        # Not now(), which stands still while a transaction waits for a lock.
        now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)

    def close(self) -> None:
        """Of the connections that nothing holds; whoever asks again gets new ones."""
        self._engine.dispose()
        self._single.dispose()


def migrate(database_url: str, *, revision: str = "head") -> None:
    """Bring the schema up to a revision, the newest by default. Safe in several processes at once."""
    # A quarter of a second, which every process that does not migrate would otherwise start later.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    engine = open_engine(make_url(database_url))
    try:
        writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with _unavailable_named(), writer.begin() as connection:
            _wait_for_other_migrations(connection)
            config = Config()
            config.set_main_option("script_location", str(migrations_folder()))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def migrations_folder() -> Path:
    """Beside this module in an installed wheel, at the top of a checkout."""
    installed = Path(__file__).parent / "migrations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "migrations"


def _wait_for_other_migrations(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})


@contextmanager
def _unavailable_named() -> Iterator[None]:
    try:
        yield
    except (*UNAVAILABLE, PoolTimeoutError) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise _unavailable(error) from error


@cache
def _compiled(statement: Select[Any], dialect: Dialect) -> str:
    """In the driver's words."""
    return str(statement.compile(dialect=dialect))


def _unavailable(error: Exception) -> DriftgateError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return DriftgateError(
        ErrorCode.DATABASE_UNAVAILABLE,
        f"The database did not answer ({cause}). Nothing was changed; try again.",
    )
