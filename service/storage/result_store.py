"""What a worker measured, in SQL: written under the fence, read back without what was superseded.

Rows carry the epoch of their attempt. An attempt that resumes from update u computes everything after u
anew, so the rows of earlier attempts after u are superseded: they stay, and no read returns them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service.jobs.gradient_fidelity import GradientFidelity
from service.jobs.metric_queries import LatestMetrics
from service.jobs.records import (
    BlockDrift,
    CheckpointRecord,
    EvaluationRecord,
    GradientFidelityRecord,
    PromptOverlapRecord,
    ReverseKlRecord,
    UpdateRecord,
)
from service.jobs.results import Checkpoint, DriftMap, JobCheckpoints, JobMetrics, JobResults
from service.jobs.spec import JobSpec
from service.storage.evaluation_counts import CountedEvaluation, read_counted_evaluations
from service.storage.evaluation_reads import read_results
from service.storage.gradient_fidelities import (
    insert_gradient_fidelity,
    read_gradient_fidelity,
)
from service.storage.job_rows import job_row, stored_spec, updates_per_step
from service.storage.metric_chunks import add_full_chunks
from service.storage.metric_numbers import json_number
from service.storage.metric_reads import MetricColumns, read_columns, read_latest
from service.storage.new_rows import insert_many_new, insert_new
from service.storage.result_reads import (
    effective_checkpoints,
    effective_evaluations,
    read_drift_map,
    read_metrics,
)
from service.storage.reverse_kls import insert_reverse_kl, standing_reverse_kls
from service.storage.sample_store import SampleStore, update_index_of
from service.storage.state_moves import (
    Lease,
    change_under_fence,
    held_row,
    record_event,
)
from service.storage.tables import (
    AttemptRow,
    CheckpointRow,
    EvaluationProblemRow,
    EvaluationRow,
    PromptOverlapRow,
    UpdateMetricsRow,
)
from service.storage.token_drifts import KeptUpdate, insert_token_drifts, read_token_drifts

# Of blocks of one token, 400 rows of long responses would take gigabytes.
MAX_DRIFT_MAP_CELLS = 1_000_000


class ResultStore(SampleStore):
    """Every method is one transaction. Writes raise LEASE_LOST and are idempotent."""

    def append_updates(self, lease: Lease, records: Sequence[UpdateRecord]) -> None:
        """Keep the updates, oldest first, and move the job's progress to the last of them."""
        if not records:
            return
        with self._database.transaction() as session:
            change_under_fence(
                session,
                lease,
                now=self._database.now(session),
                step=records[-1].step,
                update_index=records[-1].update,
            )
            rows = [
                {
                    "job_id": lease.job_id,
                    "epoch": lease.epoch,
                    "update_index": record.update,
                    "step": record.step,
                    "at": record.at,
                    "metric_values": {
                        str(name): value if math.isfinite(value) else json_number(value)
                        for name, value in record.metrics.items()
                    },
                    "drift_by_block": [_drift_cell(block) for block in record.drift_by_block],
                }
                for record in records
            ]
            if insert_many_new(session, UpdateMetricsRow, rows):
                updates = [record.update for record in records]
                add_full_chunks(session, lease.job_id, epoch=lease.epoch, updates=updates)
            insert_token_drifts(session, lease, records)

    def resume_from(self, lease: Lease, *, update: int) -> None:
        """Note that this attempt trains on from `update`; later rows of earlier attempts fall."""
        with self._database.transaction() as session:
            row = held_row(session, lease)
            step = update // updates_per_step(JobSpec.model_validate(row.spec))
            _set_on_attempt(session, lease, resumed_from_update=update)
            record_event(
                session,
                lease,
                now=self._database.now(session),
                event_type="training_started",
                message=f"Training starts after step {step}, update {update}.",
                step=step,
                update_index=update,
            )

    def record_evaluation(self, lease: Lease, record: EvaluationRecord) -> None:
        assert record.problems, "a benchmark has problems; submission refuses one without"
        with self._database.transaction() as session:
            row = held_row(session, lease)
            now = self._database.now(session)
            key = {
                "job_id": lease.job_id,
                "epoch": lease.epoch,
                "stage": record.stage,
                "benchmark": record.benchmark,
            }
            values = {
                "update_index": update_index_of(record.stage, trained=row.update_index),
                "problems_sha256": record.problems_sha256,
                "samples_per_problem": record.samples_per_problem,
                "k": list(record.k),
                "profile": record.profile,
                "temperature": record.temperature,
                "top_p": record.top_p,
                "top_k": record.top_k,
                "max_response_tokens": record.max_response_tokens,
                "sampling_sha256": record.sampling_sha256,
                "grader": record.grader,
                "seed": record.seed,
                "num_response_tokens": record.num_response_tokens,
                "seconds": record.seconds,
                "created_at": now,
            }
            if insert_new(session, EvaluationRow, [key | values]) == 0:
                return
            session.execute(insert(EvaluationProblemRow), _problem_rows(key, record))
            record_event(
                session,
                lease,
                now=now,
                event_type="evaluation_recorded",
                message=f"Evaluated {record.stage} on {record.benchmark}: "
                f"{len(record.problems)} problems, {record.samples_per_problem} samples each.",
                evaluated_samples=0,
                samples_to_evaluate=0,
            )

    def record_overlap(self, lease: Lease, record: PromptOverlapRecord) -> None:
        """What the prompts to train on share with one benchmark."""
        with self._database.transaction() as session:
            change_under_fence(session, lease, now=self._database.now(session))
            key = {"job_id": lease.job_id, "epoch": lease.epoch}
            insert_new(session, PromptOverlapRow, [key | asdict(record)])

    def record_reverse_kl(self, lease: Lease, record: ReverseKlRecord) -> None:
        with self._database.transaction() as session:
            trained, now = held_row(session, lease).update_index, self._database.now(session)
            change_under_fence(session, lease, now=now)
            update_index = update_index_of(record.stage, trained=trained)
            insert_reverse_kl(session, lease, record, update_index=update_index, now=now)

    def record_gradient_fidelity(self, lease: Lease, record: GradientFidelityRecord) -> None:
        with self._database.transaction() as session:
            change_under_fence(session, lease, now=self._database.now(session))
            insert_gradient_fidelity(session, lease, record)

    def record_checkpoint(self, lease: Lease, record: CheckpointRecord) -> None:
        """The commit point of a checkpoint: from here on the job can resume from it."""
        with self._database.transaction() as session:
            held_row(session, lease)
            now = self._database.now(session)
            row = {
                "job_id": lease.job_id,
                "epoch": lease.epoch,
                "step": record.step,
                "update_index": record.update,
                "uri": record.uri,
                "size_bytes": record.size_bytes,
                "manifest_sha256": record.manifest_sha256,
                "final": record.final,
                "created_at": now,
            }
            if insert_new(session, CheckpointRow, [row]) == 0:
                return
            _set_on_attempt(session, lease, newest_checkpoint_update=record.update)
            record_event(
                session,
                lease,
                now=now,
                event_type="checkpoint_saved",
                message=f"Saved step {record.step}, update {record.update}.",
            )

    def forget_checkpoint(self, lease: Lease, uri: str) -> None:
        """Drop the row; the caller removes the folder afterwards."""
        with self._database.transaction() as session:
            change_under_fence(session, lease, now=self._database.now(session))
            session.execute(
                delete(CheckpointRow).where(
                    CheckpointRow.job_id == lease.job_id, CheckpointRow.uri == uri
                )
            )

    def latest_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Newest first; what a later attempt went back behind is left out."""
        with self._database.read() as session:
            return effective_checkpoints(session, job_id)

    def checkpoint_uris(self, job_id: str) -> frozenset[str]:
        """Of every row, also those that a later attempt went back behind."""
        with self._database.read() as session:
            query = select(CheckpointRow.uri).where(CheckpointRow.job_id == job_id)
            return frozenset(session.scalars(query))

    def evaluated(self, job_id: str) -> set[tuple[str, str]]:
        """(stage, benchmark) of every evaluation that stands."""
        with self._database.read() as session:
            return {(row.stage, row.benchmark) for row in effective_evaluations(session, job_id)}

    def reverse_kls_measured(self, job_id: str) -> set[tuple[str, str]]:
        """(stage, benchmark) of every measurement that stands."""
        with self._database.read() as session:
            rows = standing_reverse_kls(session, [job_id])
            return {(row.stage, row.benchmark) for row in rows}

    def metrics(
        self, job_id: str, *, names: Sequence[str] = (), after_update: int = 0
    ) -> JobMetrics:
        """Columns of the named metrics, or of all that were recorded. Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            return read_metrics(session, job_id, names=names, after_update=after_update)

    def metric_columns(self, job_id: str, *, names: Sequence[str]) -> MetricColumns:
        """Of metrics and of `metric_chunks.AT`, over all updates that stand. Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            return read_columns(session, job_id, names=names)

    def latest_metrics(self, job_id: str) -> LatestMetrics:
        """Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            return LatestMetrics(job_id=job_id, metrics=read_latest(session, job_id))

    def drift_map(
        self,
        job_id: str,
        *,
        after_update: int = 0,
        max_rows: int = 400,
        max_cells: int = MAX_DRIFT_MAP_CELLS,
    ) -> DriftMap:
        """One row per update, evenly thinned from first to last. Raises JOB_NOT_FOUND.

        max_cells: of rows times blocks, which a single row may exceed.
        """
        with self._database.read() as session:
            spec = stored_spec(job_row(session, job_id))
            return read_drift_map(
                session,
                job_id,
                block_size=spec.drift_map_block_size if isinstance(spec, JobSpec) else 1,
                after_update=after_update,
                max_rows=max_rows,
                max_cells=max_cells,
            )

    def gradient_fidelity(self, job_id: str) -> GradientFidelity:
        """Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            return read_gradient_fidelity(session, job_id)

    def token_drifts(self, job_id: str, *, after_update: int, limit: int) -> list[KeptUpdate]:
        """The first so many of the updates whose drift was kept, after that update."""
        with self._database.read() as session:
            return read_token_drifts(session, job_id, after_update=after_update, limit=limit)

    def results(self, job_id: str, *, include_problems: bool = False) -> JobResults:
        """Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            return read_results(session, job_id, include_problems=include_problems)

    def counted_evaluations(self, job_id: str) -> tuple[CountedEvaluation, ...]:
        """Without what only `results` needs the samples for. Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            return read_counted_evaluations(session, job_id)

    def checkpoints(self, job_id: str) -> JobCheckpoints:
        """Newest first. Raises JOB_NOT_FOUND."""
        with self._database.read() as session:
            job_row(session, job_id)
            return JobCheckpoints(
                job_id=job_id, checkpoints=tuple(effective_checkpoints(session, job_id))
            )


def _drift_cell(block: BlockDrift) -> list[float | str | None]:
    return [
        block.num_tokens,
        json_number(block.mean_drift_nats),
        json_number(block.mean_abs_drift_nats),
    ]


def _problem_rows(key: Mapping[str, Any], record: EvaluationRecord) -> list[dict[str, Any]]:
    return [
        {
            **key,
            "position": position,
            **asdict(problem),
        }
        for position, problem in enumerate(record.problems)
    ]


def _set_on_attempt(session: Session, lease: Lease, **values: int) -> None:
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.job_id == lease.job_id, AttemptRow.epoch == lease.epoch)
        .values(**values)
    )
