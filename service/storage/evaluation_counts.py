"""Evaluations by their counts alone: what comparing and planning need, without the samples."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from service.jobs import stages
from service.statistics.counts import Counts
from service.storage.result_reads import effective_evaluations
from service.storage.tables import EvaluationProblemRow, EvaluationRow

# Job, epoch, stage, benchmark.
EvaluationKey = tuple[str, int, str, str]


@dataclass(frozen=True, slots=True)
class CountedEvaluation:
    """One model on one benchmark: what was asked, sampled and graded, and how many samples were right."""

    stage: str
    benchmark: str
    problems_sha256: str
    sampling_sha256: str
    grader: str
    samples_per_problem: int
    mean_response_tokens: float
    counts: Counts


def read_counted_evaluations(session: Session, job_id: str) -> tuple[CountedEvaluation, ...]:
    """Those that stand, by stage and benchmark."""
    counts = read_counts(session, EvaluationProblemRow.job_id == job_id)
    rows = effective_evaluations(session, job_id)
    return tuple(
        _counted(row, counts[row.job_id, row.epoch, row.stage, row.benchmark])
        for row in sorted(rows, key=lambda row: (stages.order_of(row.stage), row.benchmark))
    )


def read_counts(session: Session, *where: ColumnElement[bool]) -> Mapping[EvaluationKey, Counts]:
    """n and c of the problems, in order, of every evaluation whose problem rows these conditions choose."""
    rows = session.execute(
        select(
            EvaluationProblemRow.job_id,
            EvaluationProblemRow.epoch,
            EvaluationProblemRow.stage,
            EvaluationProblemRow.benchmark,
            EvaluationProblemRow.n,
            EvaluationProblemRow.c,
        )
        .where(*where)
        .order_by(EvaluationProblemRow.position)
    )
    found: dict[EvaluationKey, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for job_id, epoch, stage, benchmark, n, c in rows:
        numbers_n, numbers_c = found[job_id, epoch, stage, benchmark]
        numbers_n.append(n)
        numbers_c.append(c)
    return {key: Counts(n=tuple(n), c=tuple(c)) for key, (n, c) in found.items()}


def _counted(row: EvaluationRow, counts: Counts) -> CountedEvaluation:
    return CountedEvaluation(
        stage=row.stage,
        benchmark=row.benchmark,
        problems_sha256=row.problems_sha256,
        sampling_sha256=row.sampling_sha256,
        grader=row.grader,
        samples_per_problem=row.samples_per_problem,
        mean_response_tokens=row.num_response_tokens / sum(counts.n),
        counts=counts,
    )
