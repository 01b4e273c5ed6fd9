"""Engines of SQLite and PostgreSQL: their pools, and what each new connection is told."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import psycopg
from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_S = 30
BUSY_RETRY_S = 0.01
# As libpq takes them; an URL may say otherwise. A server whose host has died, or that a network no longer reaches, answers
# nothing and closes nothing: the system's own limits would let a heartbeat wait for it for hours.
POSTGRES_LIMITS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms
}
PING_AFTER_IDLE_S = 1
# An execution option, for statements that fetch many bytes.
BINARY_RESULTS = "binary_results"


def open_engine(url: URL) -> Engine:
    """Of either database, with a pool of connections; nothing is connected to yet."""
    if url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(url)
    return _create_postgres_engine(url)


def open_autocommit_engine(url: URL) -> Engine:
    """For single statements, on connections of its own.

    To switch a connection to autocommit and back, and to end a transaction that it never began, would cost
    three times what such a statement costs.
    """
    engine = _create_postgres_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
    )

    @event.listens_for(engine, "connect")
    def tell_times_in_utc(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.execute("SET TIME ZONE 'UTC'")  # where the driver's rows are taken as they are

    return engine


def lose_connections_together(*engines: Engine) -> None:
    """Where one meets a connection that the server has cut, the others' are taken to be cut too."""

    def forget(context: ExceptionContext) -> None:
        if context.is_disconnect:
            for engine in engines:
                if engine is not context.engine:
                    engine.dispose()

    for engine in engines:
        event.listen(engine, "handle_error", forget)


def _create_postgres_engine(url: URL, **options: Any) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=30,
        connect_args={
            name: limit for name, limit in POSTGRES_LIMITS.items() if name not in url.query
        },
        json_serializer=_json_text,
        json_deserializer=from_json,
        **options,
    )
    _ping_after_idleness(engine)
    _fetch_bytes_as_they_are(engine)
    return engine


def _create_sqlite_engine(url: URL) -> Engine:
    assert url.database, "SQLite in memory would be another database in every thread"
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=30,
        json_serializer=_json_text,
        json_deserializer=from_json,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # Python's driver would open transactions by itself, and only before a write.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get("sqlite_begin", "BEGIN")
        if statement is not None:
            connection.exec_driver_sql(statement)

    return engine


def _fetch_bytes_as_they_are(engine: Engine) -> None:
    """Where a statement asks for it: in text, as else, every byte comes as two, which are then put together again."""

    @event.listens_for(engine, "before_cursor_execute")
    def choose_format(_connection: Connection, cursor: psycopg.Cursor[Any], *rest: Any) -> None:
        _statement, _parameters, context, _is_many = rest
        if context.execution_options.get(BINARY_RESULTS):
            cursor.format = psycopg.pq.Format.BINARY


def _ping_after_idleness(engine: Engine) -> None:
    """A connection that was used a moment ago is not asked whether it is there: that costs as much as a read."""

    @event.listens_for(engine, "checkin")
    def note_use(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < PING_AFTER_IDLE_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool opens another


def _json_text(value: object) -> str:
    return to_json(value).decode()


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switches the file over, once in its life; on a file that was switched it changes nothing.

    The switch needs the file alone, and SQLite does not wait for that, whatever its busy_timeout says:
    of processes that open a new file together all but one would fail.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # The lowest byte is the primary code; the others tell the kinds of "busy" apart.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= deadline:
                raise
            time.sleep(BUSY_RETRY_S)
        else:
            return
