"""Reads of what a worker measured: only rows that stand, in the shape that clients get."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session, aliased

from service.jobs.catalog import Metric
from service.jobs.results import (
    BenchmarkDifference,
    BenchmarkResult,
    Checkpoint,
    DriftMap,
    JobMetrics,
    JobResults,
    ProblemCount,
)
from service.statistics.intervals import bootstrap_mean, paired_difference
from service.statistics.pass_at_k import pass_at_k
from service.storage.tables import (
    AttemptRow,
    CheckpointRow,
    EvaluationProblemRow,
    EvaluationRow,
    UpdateMetricsRow,
)

STAGES = ("baseline", "final", "teacher")
NOTE = "One run per job: training-seed variance not included."


def read_metrics(
    session: Session, job_id: str, *, names: Sequence[str], after_update: int
) -> JobMetrics:
    rows = session.execute(
        select(
            UpdateMetricsRow.update_index,
            UpdateMetricsRow.step,
            UpdateMetricsRow.epoch,
            UpdateMetricsRow.metric_values,
        )
        .where(
            UpdateMetricsRow.job_id == job_id,
            UpdateMetricsRow.update_index > after_update,
            _stands(UpdateMetricsRow),
        )
        .order_by(UpdateMetricsRow.update_index)
    ).all()
    recorded = {name for row in rows for name in row.metric_values}
    columns = names or [metric.value for metric in Metric if metric.value in recorded]
    return JobMetrics(
        job_id=job_id,
        update=tuple(row.update_index for row in rows),
        step=tuple(row.step for row in rows),
        attempt=tuple(row.epoch for row in rows),
        columns={name: tuple(row.metric_values.get(name) for row in rows) for name in columns},
    )


def read_drift_map(
    session: Session, job_id: str, *, block_size: int, after_update: int, max_rows: int
) -> DriftMap:
    of_job = [
        UpdateMetricsRow.job_id == job_id,
        UpdateMetricsRow.update_index > after_update,
        _stands(UpdateMetricsRow),
    ]
    by_update = UpdateMetricsRow.update_index
    updates = session.scalars(select(by_update).where(*of_job).order_by(by_update)).all()
    rows = session.execute(
        select(by_update, UpdateMetricsRow.drift_by_block)
        .where(*of_job, by_update.in_(_evenly(updates, max_rows)))
        .order_by(by_update)
    ).all()
    width = max((len(row.drift_by_block) for row in rows), default=0)
    padded = [
        row.drift_by_block + [[0, None, None]] * (width - len(row.drift_by_block)) for row in rows
    ]
    return DriftMap(
        job_id=job_id,
        block_size=block_size,
        update=tuple(row.update_index for row in rows),
        num_tokens=tuple(tuple(cell[0] for cell in cells) for cells in padded),
        mean_drift_nats=tuple(tuple(cell[1] for cell in cells) for cells in padded),
        mean_abs_drift_nats=tuple(tuple(cell[2] for cell in cells) for cells in padded),
    )


def read_results(session: Session, job_id: str, *, include_problems: bool) -> JobResults:
    rows = effective_evaluations(session, job_id)
    problems = _problems(session, job_id)
    evaluations = [
        _benchmark_result(row, problems[row.stage, row.benchmark, row.epoch])
        for row in sorted(rows, key=lambda row: (STAGES.index(row.stage), row.benchmark))
    ]
    return JobResults(
        job_id=job_id,
        evaluations=tuple(
            result if include_problems else result.model_copy(update={"problems": ()})
            for result in evaluations
        ),
        differences=_differences(evaluations),
        note=NOTE,
    )


def effective_evaluations(session: Session, job_id: str) -> list[EvaluationRow]:
    """One row per stage and benchmark: of those that stand, the one of the newest attempt."""
    rows = session.scalars(
        select(EvaluationRow)
        .where(EvaluationRow.job_id == job_id, _stands(EvaluationRow))
        .order_by(EvaluationRow.epoch)
    )
    return list({(row.stage, row.benchmark): row for row in rows}.values())


def effective_checkpoints(session: Session, job_id: str) -> list[Checkpoint]:
    rows = session.scalars(
        select(CheckpointRow)
        .where(CheckpointRow.job_id == job_id, _stands(CheckpointRow))
        .order_by(CheckpointRow.update_index.desc(), CheckpointRow.epoch.desc())
    )
    return [
        Checkpoint(
            attempt=row.epoch,
            step=row.step,
            update=row.update_index,
            uri=row.uri,
            size_bytes=row.size_bytes,
            manifest_sha256=row.manifest_sha256,
            final=row.final,
            created_at=row.created_at,
        )
        for row in rows
    ]


def _stands(
    table: type[UpdateMetricsRow] | type[EvaluationRow] | type[CheckpointRow],
) -> ColumnElement[bool]:
    """No later attempt resumed from before this row."""
    later = aliased(AttemptRow)
    return ~exists().where(
        later.job_id == table.job_id,
        later.epoch > table.epoch,
        later.resumed_from_update < table.update_index,
    )


def _evenly(updates: Sequence[int], max_rows: int) -> list[int]:
    """At most `max_rows` of them, evenly spaced; the last is always one."""
    if len(updates) <= max_rows:
        return list(updates)
    # From the end, so that the newest row is there whatever max_rows is.
    return [updates[len(updates) * (index + 1) // max_rows - 1] for index in range(max_rows)]


def _problems(session: Session, job_id: str) -> dict[tuple[str, str, int], list[ProblemCount]]:
    rows = session.scalars(
        select(EvaluationProblemRow)
        .where(EvaluationProblemRow.job_id == job_id)
        .order_by(
            EvaluationProblemRow.stage,
            EvaluationProblemRow.benchmark,
            EvaluationProblemRow.epoch,
            EvaluationProblemRow.position,
        )
    )
    return {
        key: [
            ProblemCount(
                problem_id=row.problem_id,
                n=row.n,
                c=row.c,
                num_no_answer=row.num_no_answer,
                num_truncated=row.num_truncated,
            )
            for row in group
        ]
        for key, group in groupby(rows, key=lambda row: (row.stage, row.benchmark, row.epoch))
    }


def _benchmark_result(row: EvaluationRow, problems: Sequence[ProblemCount]) -> BenchmarkResult:
    num_samples = sum(problem.n for problem in problems)
    return BenchmarkResult(
        benchmark=row.benchmark,
        stage=row.stage,
        attempt=row.epoch,
        problems_sha256=row.problems_sha256,
        num_problems=len(problems),
        samples_per_problem=row.samples_per_problem,
        temperature=row.temperature,
        top_p=row.top_p,
        max_response_tokens=row.max_response_tokens,
        seed=row.seed,
        pass_at={str(k): _mean_with_interval(_pass_at(problems, k)) for k in row.k},
        fraction_no_answer=sum(problem.num_no_answer for problem in problems) / num_samples,
        fraction_truncated=sum(problem.num_truncated for problem in problems) / num_samples,
        num_response_tokens=row.num_response_tokens,
        seconds=row.seconds,
        problems=tuple(problems),
    )


def _differences(evaluations: Sequence[BenchmarkResult]) -> tuple[BenchmarkDifference, ...]:
    """Final minus baseline, wherever both stand and were asked the same problems."""
    found = {(result.stage, result.benchmark): result for result in evaluations}
    pairs = [
        (found["baseline", final.benchmark], final)
        for (stage, benchmark), final in found.items()
        if stage == "final" and ("baseline", benchmark) in found
    ]
    return tuple(
        BenchmarkDifference(
            benchmark=final.benchmark,
            pass_at={
                k: _paired_with_interval(
                    _pass_at(baseline.problems, int(k)), _pass_at(final.problems, int(k))
                )
                for k in final.pass_at
            },
        )
        for baseline, final in pairs
        if baseline.problems_sha256 == final.problems_sha256
    )


def _pass_at(problems: Sequence[ProblemCount], k: int) -> tuple[float, ...]:
    return tuple(pass_at_k(problem.n, problem.c, k) for problem in problems)


# A page that is refreshed asks for the same intervals again and again; they never change.
_mean_with_interval = lru_cache(maxsize=512)(bootstrap_mean)
_paired_with_interval = lru_cache(maxsize=512)(paired_difference)
