"""Inserts that may be repeated: an answer may be lost after its commit, and the write is tried again."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.storage.tables import Table


def insert_new(session: Session, table: type[Table], rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows whose keys are not there yet; how many those are."""
    if not rows:
        return 0
    dialect_insert = postgresql.insert if _is_on_postgres(session) else sqlite.insert
    statement = dialect_insert(table).on_conflict_do_nothing()
    key = table.__mapper__.primary_key[0]
    return len(session.execute(statement.returning(key), list(rows)).all())


def insert_many_new(session: Session, table: type[Table], rows: Sequence[dict[str, Any]]) -> int:
    """As `insert_new`, of whole rows without bytes.

    On PostgreSQL all of them are one parameter, in JSON: psycopg takes a long statement apart anew each time, and to find
    its hundreds of placeholders costs more than all the rest.
    """
    if not rows or not _is_on_postgres(session):
        return insert_new(session, table, rows)
    given = {"rows": to_json(rows).decode()}
    return session.connection().execute(_insert_of_json(table), given).rowcount


@cache
def _insert_of_json(table: type[Table]) -> postgresql.Insert:
    columns = table.__table__.columns
    given = (
        func.json_to_recordset(cast(bindparam("rows", type_=Text()), JSON))
        .table_valued(*(column(each.name, each.type) for each in columns))
        .render_derived(name="given", with_types=True)
    )
    insert = postgresql.insert(table).from_select([each.name for each in columns], select(given))
    return insert.on_conflict_do_nothing()


def _is_on_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
