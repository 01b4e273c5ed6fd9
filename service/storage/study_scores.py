"""What the jobs of a study scored, in few queries: counts of the evaluations that stand, and the teacher's distance."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs import stages
from service.statistics.counts import Counts
from service.storage.evaluation_counts import read_counts
from service.storage.result_reads import stands
from service.storage.reverse_kls import standing_reverse_kls
from service.storage.tables import EvaluationProblemRow, EvaluationRow, ReverseKlRow

STAGES = (stages.BASELINE, stages.FINAL)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What has to be the same in two evaluations for their scores to be compared."""

    problems_sha256: str
    sampling_sha256: str
    grader: str


@dataclass(frozen=True, slots=True)
class ScoredBenchmark:
    """The counts of one benchmark at one stage."""

    counts: Counts
    conditions: Conditions


@dataclass(slots=True)
class RunScores:
    """Of one job: benchmarks by name, before and after training.

    reverse_kl: to the teacher after training, nats a token; None where it was not measured or is not finite.
    """

    before: dict[str, ScoredBenchmark] = field(default_factory=dict)
    after: dict[str, ScoredBenchmark] = field(default_factory=dict)
    reverse_kl: float | None = None


def read_scores(session: Session, job_ids: Sequence[str]) -> Mapping[str, RunScores]:
    """By job; jobs that have no evaluation yet are there too."""
    scores = {job_id: RunScores() for job_id in job_ids}
    counts = read_counts(
        session,
        EvaluationProblemRow.job_id.in_(job_ids),
        EvaluationProblemRow.stage.in_(STAGES),
    )
    rows = session.scalars(
        select(EvaluationRow)
        .where(
            EvaluationRow.job_id.in_(job_ids),
            EvaluationRow.stage.in_(STAGES),
            stands(EvaluationRow),
        )
        .order_by(EvaluationRow.epoch)  # of several that stand the newest is kept
    )
    for row in rows:
        of_stage = (
            scores[row.job_id].before if row.stage == stages.BASELINE else scores[row.job_id].after
        )
        of_stage[row.benchmark] = ScoredBenchmark(
            counts=counts[row.job_id, row.epoch, row.stage, row.benchmark],
            conditions=Conditions(row.problems_sha256, row.sampling_sha256, row.grader),
        )
    return scores


def read_reverse_kls(session: Session, job_ids: Sequence[str]) -> Mapping[str, float | None]:
    """By job, on held-out problems after training; jobs of which nothing was measured are not there."""
    by_job: dict[str, list[ReverseKlRow]] = defaultdict(list)
    for row in standing_reverse_kls(session, job_ids, stage=stages.FINAL):
        by_job[row.job_id].append(row)
    return {job_id: _mean_over_tokens(rows) for job_id, rows in by_job.items()}


def _mean_over_tokens(rows: Sequence[ReverseKlRow]) -> float | None:
    """Of the benchmarks together; None where one of them is not finite."""
    nats = [None if row.mean_nats is None else row.mean_nats * row.num_tokens for row in rows]
    known = [each for each in nats if each is not None]
    if len(known) < len(nats):
        return None
    return sum(known) / sum(row.num_tokens for row in rows)
