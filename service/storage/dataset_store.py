"""Uploaded problem sets in SQL; their files come and go while their id is locked."""

from collections.abc import Callable, Sequence

from sqlalchemy import Text, cast, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.datasets import Dataset, DatasetPage, datasets_named_by, is_dataset_id
from service.jobs.spec import JobKind, RegradeJobSpec
from service.jobs.state import TERMINAL_STATES
from service.storage.job_rows import stored_spec
from service.storage.page_tokens import PagedList
from service.storage.sessions import Database
from service.storage.tables import DatasetRow, JobRow, UtcDateTime

PAGED = PagedList("datasets")


class DatasetStore:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        dataset_id: str,
        *,
        name: str | None,
        sha256: str,
        num_problems: int,
        num_answers: int,
        size_bytes: int,
        place_file: Callable[[], None],
    ) -> tuple[Dataset, bool]:
        """The set, and whether it is new; one that was there stays as it was.

        place_file: puts the content where the id says, before there is a row. Called in either case, so
        that an upload repairs a file that was lost.
        """
        with self._database.transaction() as session:
            self._lock(session, dataset_id)
            row = session.get(DatasetRow, dataset_id)
            place_file()
            if row is not None:
                return _view(row), False
            row = DatasetRow(
                id=dataset_id,
                name=name,
                sha256=sha256,
                num_problems=num_problems,
                num_answers=num_answers,
                size_bytes=size_bytes,
                created_at=self._database.now(session),
            )
            session.add(row)
            return _view(row), True

    def get(self, dataset_id: str) -> Dataset:
        """Raises RESOURCE_NOT_FOUND."""
        with self._database.read() as session:
            return _view(_row(session, dataset_id))

    def list_datasets(self, *, limit: int, page_token: str | None = None) -> DatasetPage:
        """Newest first. Raises INVALID_ARGUMENT for a token that no page gave."""
        place = tuple_(DatasetRow.created_at, DatasetRow.id)
        query = select(DatasetRow).order_by(DatasetRow.created_at.desc(), DatasetRow.id.desc())
        if page_token:
            at, dataset_id = PAGED.time_and_id(page_token, is_id=is_dataset_id)
            query = query.where(place < tuple_(literal(at, UtcDateTime()), literal(dataset_id)))
        with self._database.read() as session:
            rows = session.scalars(query.limit(limit + 1)).all()
        return DatasetPage(
            datasets=tuple(_view(row) for row in rows[:limit]),
            next_page_token=_token_after(rows[limit - 1]) if len(rows) > limit else None,
        )

    def delete(self, dataset_id: str) -> None:
        """Raises RESOURCE_NOT_FOUND, and JOB_IN_USE where a job that has not ended needs the set."""
        with self._database.transaction() as session:
            if is_dataset_id(dataset_id):
                self._lock(session, dataset_id)
            row = _row(session, dataset_id)
            _refuse_if_needed(session, dataset_id)
            session.delete(row)

    def remove_file(self, dataset_id: str, remove: Callable[[], None]) -> None:
        """Calls `remove` unless the set was uploaded again since it was deleted."""
        with self._database.transaction() as session:
            self._lock(session, dataset_id)
            if session.get(DatasetRow, dataset_id) is None:
                remove()

    def _lock(self, session: Session, dataset_id: str) -> None:
        """One transaction at a time has to do with the id; on SQLite only one writes at all."""
        if self._database.is_postgres:
            number = int.from_bytes(bytes.fromhex(dataset_id[-16:]), signed=True)
            session.execute(select(func.pg_advisory_xact_lock(number)))


def _row(session: Session, dataset_id: str) -> DatasetRow:
    # An id of another form never reaches the database: PostgreSQL refuses NUL in text.
    row = session.get(DatasetRow, dataset_id) if is_dataset_id(dataset_id) else None
    if row is None:
        raise DriftgateError(
            ErrorCode.RESOURCE_NOT_FOUND,
            f"There is no data set {dataset_id[:100]!r}. Ids are as in the answer to the upload; "
            "/v1/datasets lists those there are.",
            [Violation("dataset_id", dataset_id[:100], "the id of an uploaded set")],
        )
    return row


def _view(row: DatasetRow) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        sha256=row.sha256,
        num_problems=row.num_problems,
        num_answers=row.num_answers,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
    )


def _refuse_if_needed(session: Session, dataset_id: str) -> None:
    """A regrade needs the sets of the job that it grades."""
    rows: Sequence[JobRow] = session.scalars(
        select(JobRow)
        .where(
            JobRow.state.not_in(list(TERMINAL_STATES)),
            or_(JobRow.kind == JobKind.REGRADE, cast(JobRow.spec, Text).contains(dataset_id)),
        )
        .order_by(JobRow.id)
    ).all()
    for row in rows:
        if dataset_id in _datasets_needed_by(session, row):
            raise DriftgateError(
                ErrorCode.JOB_IN_USE,
                f"Data set {dataset_id} is needed by job {row.id}, which is {row.state}: wait for or "
                "cancel that one first.",
                [Violation("dataset_id", dataset_id, "a data set that no job needs any more")],
            )


def _datasets_needed_by(session: Session, row: JobRow) -> frozenset[str]:
    spec = stored_spec(row)
    if not isinstance(spec, RegradeJobSpec):
        return datasets_named_by(spec)
    graded = session.get(JobRow, spec.job_id)
    return datasets_named_by(stored_spec(graded)) if graded is not None else frozenset()


def _token_after(row: DatasetRow) -> str:
    return PAGED.token_of_time(row.created_at, row.id)
