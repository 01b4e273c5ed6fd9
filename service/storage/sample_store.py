"""Samples of evaluations in SQL: written by batch under the fence, read as outcomes or with their text."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.orm import Session, aliased, defer

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs import stages
from service.jobs.records import SampleBatchRecord, SampleRecord
from service.jobs.results import (
    Sample,
    SamplePage,
    SamplingInForce,
    VerdictChange,
    VerdictChanges,
)
from service.jobs.spec import ExportJobSpec, RegradeJobSpec
from service.storage.job_rows import job_row, stored_spec
from service.storage.new_rows import insert_new
from service.storage.page_tokens import PagedList
from service.storage.result_reads import stands
from service.storage.sessions import Database
from service.storage.state_moves import Lease, change_under_fence, held_row
from service.storage.tables import EvaluationSampleRow

TEXTS_AT_ONCE = 64

# Stage, benchmark, position of the problem, number of the sample: pages of samples are cut here.
SamplePlace = tuple[str, str, int, int]

_PLACE = (
    EvaluationSampleRow.stage,
    EvaluationSampleRow.benchmark,
    EvaluationSampleRow.position,
    EvaluationSampleRow.sample_index,
)


class SampleStore:
    """The samples' side of `ResultStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_samples(self, lease: Lease, batch: SampleBatchRecord) -> None:
        """Keep the samples of a batch and how far the evaluation has come."""
        with self._database.transaction() as session:
            row = held_row(session, lease)
            key = {
                "job_id": lease.job_id,
                "epoch": lease.epoch,
                "stage": batch.stage,
                "update_index": update_index_of(batch.stage, trained=row.update_index),
            }
            change_under_fence(
                session,
                lease,
                now=self._database.now(session),
                evaluated_samples=batch.evaluated_samples,
                samples_to_evaluate=batch.samples_to_evaluate,
            )
            insert_new(
                session, EvaluationSampleRow, [key | _columns(each) for each in batch.samples]
            )

    def evaluated_samples(self, job_id: str, stage: str) -> list[SampleRecord]:
        """The samples of a stage, without their text, by benchmark, problem and number."""
        with self._database.read() as session:
            query = _standing(job_id).where(EvaluationSampleRow.stage == stage)
            rows = session.scalars(_without_text(query).order_by(*_PLACE)).all()
            return [_record(row, text=None) for row in rows]

    def samples_with_text(self, job_id: str, *, stage: str) -> Iterator[SampleRecord]:
        """The samples of a stage with their text, a few at a time: together they may be large."""
        after: SamplePlace | None = None
        while True:
            rows = self._page(
                _standing(job_id).where(EvaluationSampleRow.stage == stage),
                after=after,
                limit=TEXTS_AT_ONCE,
            )
            for row in rows:
                yield _record(row, text=text_of(row))
            if len(rows) < TEXTS_AT_ONCE:
                return
            after = _place_of(rows[-1])

    def stages_sampled(self, job_id: str) -> list[str]:
        """The stages that have samples, in the order in which a reader expects them."""
        with self._database.read() as session:
            query = _standing(job_id).with_only_columns(EvaluationSampleRow.stage).distinct()
            return sorted(session.scalars(query).all(), key=stages.order_of)

    def samples(
        self, job_id: str, *, page_token: str | None, limit: int, **wanted: str | None
    ) -> SamplePage:
        """A page of samples with their text. Raises JOB_NOT_FOUND, and INVALID_ARGUMENT for an export or a
        foreign token.

        wanted: values of `stage`, `benchmark`, `problem_id` or `verdict`; None for any.
        """
        paged = PagedList("samples", job_id=job_id, **wanted)
        after = None if page_token is None else _place_of_token(paged, page_token)
        with self._database.read() as session:
            spec = stored_spec(job_row(session, job_id))
            if isinstance(spec, RegradeJobSpec):  # the samples are those of the job that it graded
                spec = stored_spec(job_row(session, spec.job_id))
        if isinstance(spec, ExportJobSpec):
            raise _no_samples(job_id)
        assert not isinstance(spec, RegradeJobSpec), "a regrade grades no regrade"
        query = _standing(job_id)
        for name, value in wanted.items():
            if value is not None:
                query = query.where(getattr(EvaluationSampleRow, name) == value)
        rows = self._page(query, after=after, limit=limit + 1)
        return SamplePage(
            job_id=job_id,
            sampling=SamplingInForce(
                **{name: getattr(spec.evaluation, name) for name in SamplingInForce.model_fields}
            ),
            samples=tuple(_sample_view(row) for row in rows[:limit]),
            next_page_token=(
                paged.token(*_place_of(rows[limit - 1])) if len(rows) > limit else None
            ),
        )

    def verdict_changes(self, job_id: str, *, limit: int) -> VerdictChanges:
        """What a regrade judged otherwise. Raises JOB_NOT_FOUND, and INVALID_ARGUMENT for another job."""
        before, after = aliased(EvaluationSampleRow), EvaluationSampleRow
        with self._database.read() as session:
            spec = stored_spec(job_row(session, job_id))
            if not isinstance(spec, RegradeJobSpec):
                raise _no_regrade(job_id)
            same_place = [
                getattr(before, name) == getattr(after, name)
                for name in ("stage", "benchmark", "position", "sample_index")
            ]
            pairs = (
                select(after, before)
                .options(defer(after.text), defer(before.text))
                .join(before, and_(before.job_id == spec.job_id, *same_place))
                .where(
                    after.job_id == job_id,
                    stands(after),
                    stands(before),
                    before.verdict != after.verdict,
                )
                .order_by(*_PLACE)
            )
            changed = session.execute(pairs).all()
            num_samples = session.scalar(
                select(func.count()).select_from(_standing(job_id).subquery())
            )
            return VerdictChanges(
                job_id=job_id,
                regraded_job_id=spec.job_id,
                num_samples=num_samples or 0,
                num_changed=len(changed),
                changes=tuple(_change_view(old, new) for new, old in changed[:limit]),
            )

    def _page(
        self,
        query: Select[EvaluationSampleRow],
        *,
        after: SamplePlace | None,
        limit: int,
    ) -> Sequence[EvaluationSampleRow]:
        if after is not None:
            query = query.where(tuple_(*_PLACE) > after)
        with self._database.read() as session:
            rows = session.scalars(query.order_by(*_PLACE).limit(limit)).all()
            session.expunge_all()
            return rows


def update_index_of(stage: str, *, trained: int) -> int:
    """After which update a stage's model stands: training again from before it makes another model."""
    return trained if stages.is_of_trained_student(stage) else 0


def sample_rows(session: Session, job_id: str) -> Sequence[EvaluationSampleRow]:
    """All that stand, without their text, by stage, benchmark, problem and number."""
    return session.scalars(_without_text(_standing(job_id)).order_by(*_PLACE)).all()


def text_of(row: EvaluationSampleRow) -> str | None:
    return None if row.text is None else zlib.decompress(row.text).decode()


def _standing(job_id: str) -> Select[EvaluationSampleRow]:
    return select(EvaluationSampleRow).where(
        EvaluationSampleRow.job_id == job_id, stands(EvaluationSampleRow)
    )


def _without_text(query: Select[EvaluationSampleRow]) -> Select[EvaluationSampleRow]:
    return query.options(defer(EvaluationSampleRow.text))


def _place_of_token(paged: PagedList, token: str) -> SamplePlace:
    stage, benchmark, position, sample_index = paged.place(token, types=(str, str, int, int))
    return str(stage), str(benchmark), int(position), int(sample_index)


def _place_of(row: EvaluationSampleRow) -> SamplePlace:
    return row.stage, row.benchmark, row.position, row.sample_index


# The columns that a sample has in a record, a row and a view alike.
_SHARED = (
    "benchmark",
    "sample_index",
    "problem_id",
    "problem_sha256",
    "seed",
    "prompt_tokens",
    "response_tokens",
    "finish_reason",
    "is_loop",
    "verdict",
    "layer",
    "extracted",
    "sampling_ms",
    "grading_ms",
)


def _columns(sample: SampleRecord) -> dict[str, Any]:
    columns = {name: getattr(sample, name) for name in (*_SHARED, "position", "answer_key")}
    readable = {
        "extracted": _storable(sample.extracted),
        "answer_key": _storable(sample.answer_key),
    }
    return columns | readable | {"text": _compressed(sample.text)}


def _storable(text: str | None) -> str | None:
    """PostgreSQL takes no NUL in text, and no database a lone surrogate; a response may hold both."""
    if text is None:
        return None
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def _compressed(text: str | None) -> bytes | None:
    # What a tokenizer decodes may hold a lone surrogate, which UTF-8 has no bytes for.
    return None if text is None else zlib.compress(text.encode(errors="replace"))


def _record(row: EvaluationSampleRow, *, text: str | None) -> SampleRecord:
    columns = {name: getattr(row, name) for name in (*_SHARED, "position", "answer_key")}
    return SampleRecord(**columns, text=text)


def _change_view(before: EvaluationSampleRow, after: EvaluationSampleRow) -> VerdictChange:
    return VerdictChange(
        stage=after.stage,
        benchmark=after.benchmark,
        problem_id=after.problem_id,
        sample_index=after.sample_index,
        extracted=after.extracted,
        verdict_before=before.verdict,
        layer_before=before.layer,
        verdict=after.verdict,
        layer=after.layer,
    )


def _no_regrade(job_id: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"Job {job_id} is no regrade, so it changed no verdict. Submit a job of kind `regrade` that "
        "names it, and ask that one.",
        [Violation("job_id", job_id, "a job of kind `regrade`")],
    )


def _no_samples(job_id: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"Job {job_id} is an export, which samples nothing. Ask the job whose checkpoint it copies.",
        [Violation("job_id", job_id, "a job of another kind than `export`")],
    )


def _sample_view(row: EvaluationSampleRow) -> Sample:
    shared = {name: getattr(row, name) for name in _SHARED}
    return Sample(**shared, stage=row.stage, attempt=row.epoch, text=text_of(row))
