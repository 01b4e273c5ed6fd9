"""What the worker measures, as plain values: the trainer and the evaluation make these, storage keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.jobs.catalog import Metric


@dataclass(frozen=True, slots=True)
class BlockDrift:
    """Drift of one column of the drift map in one update; the means are in nats, None at no token."""

    num_tokens: int
    mean_drift_nats: float | None
    mean_abs_drift_nats: float | None


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """One optimiser update. `step` and `update` count from 1 over the whole job."""

    step: int
    update: int
    metrics: Mapping[Metric, float]
    drift_by_block: tuple[BlockDrift, ...]


@dataclass(frozen=True, slots=True)
class ProblemOutcome:
    """n samples of one problem: c right; the others wrong, without an answer, or cut off."""

    problem_id: str
    n: int
    c: int
    num_no_answer: int
    num_truncated: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One model on one benchmark; `stage` is `baseline`, `final` or `teacher`."""

    benchmark: str
    stage: str
    problems_sha256: str
    samples_per_problem: int
    k: tuple[int, ...]
    temperature: float
    top_p: float
    max_response_tokens: int
    seed: int
    num_response_tokens: int
    seconds: float
    problems: tuple[ProblemOutcome, ...]


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """A complete checkpoint folder on the artifact store; the row of it is the commit point."""

    step: int
    update: int
    uri: str
    size_bytes: int
    manifest_sha256: str
    final: bool


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """What a reader of the job's history should know of an attempt; it changes no state."""

    type: str
    message: str
