"""Inserts that may be repeated: an answer may be lost after its commit, and the write is tried again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.storage.tables import Table


def insert_new(session: Session, table: type[Table], rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows whose keys are not there yet; how many those are."""
    if not rows:
        return 0
    on_postgres = session.get_bind().dialect.name == "postgresql"
    dialect_insert = postgresql.insert if on_postgres else sqlite.insert
    statement = dialect_insert(table).on_conflict_do_nothing()
    key = table.__mapper__.primary_key[0]
    return len(session.execute(statement.returning(key), list(rows)).all())
