"""What the worker measures, as plain values: the trainer and the evaluation make these, storage keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.jobs.catalog import Metric


@dataclass(frozen=True, slots=True)
class BlockDrift:
    """Drift of one column of the drift map in one update; the means are in nats, None at no token."""

    num_tokens: int
    mean_drift_nats: float | None
    mean_abs_drift_nats: float | None


@dataclass(frozen=True, slots=True)
class TokenDriftRecord:
    """Drift token by token of one update, response behind response; numbers are little-endian.

    minibatch: of the step's minibatches, from 1. response_lengths: uint32, valid tokens of each response.
    drift_nats, abs_losses: float16 a token; the losses before the gate weighs them, at most 65,504. newlines: whether a
    token's text holds one, a bit each, the first the highest of its byte.
    """

    minibatch: int
    num_responses_left_out: int
    response_lengths: bytes
    drift_nats: bytes
    abs_losses: bytes
    newlines: bytes


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """One optimiser update. `step` and `update` count from 1 over the whole job.

    at: when the update ended, UTC by the worker's clock; the recorder notes it. token_drift: of few updates.
    """

    step: int
    update: int
    metrics: Mapping[Metric, float]
    drift_by_block: tuple[BlockDrift, ...]
    at: datetime | None = None
    token_drift: TokenDriftRecord | None = None


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One response to a problem of a benchmark, and its verdict.

    position: the problem's place in the benchmark. sampling_ms: the sample's share, by tokens, of the time
    of its batch. text: None where the samples are those of another job (a regrade).
    """

    benchmark: str
    position: int
    sample_index: int
    problem_id: str
    problem_sha256: str
    seed: int
    prompt_tokens: int
    response_tokens: int
    finish_reason: str
    is_loop: bool
    verdict: str
    layer: str
    extracted: str | None
    answer_key: str | None
    sampling_ms: float
    grading_ms: float
    text: str | None


@dataclass(frozen=True, slots=True)
class SampleBatchRecord:
    """The samples of one batch of an evaluation's plan: written together, so that it is resumed after them."""

    stage: str
    samples: tuple[SampleRecord, ...]
    evaluated_samples: int
    samples_to_evaluate: int


@dataclass(frozen=True, slots=True)
class ProblemOutcome:
    """n samples of one problem: c right; the others wrong, cut off, without an answer, or not decided.

    A sample counts once. num_loops is of those that were cut off.
    """

    problem_id: str
    problem_sha256: str
    n: int
    c: int
    num_no_answer: int
    num_truncated: int
    num_grader_timeouts: int
    num_loops: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One model on one benchmark; `stage` as in `service.jobs.stages`."""

    benchmark: str
    stage: str
    problems_sha256: str
    samples_per_problem: int
    k: tuple[int, ...]
    profile: str
    temperature: float
    top_p: float
    top_k: int | None
    max_response_tokens: int
    sampling_sha256: str
    grader: str
    seed: int
    num_response_tokens: int
    seconds: float
    problems: tuple[ProblemOutcome, ...]


class KlEstimator(StrEnum):
    """How the reverse KL at a token is told from the two models."""

    FULL_VOCABULARY = "full_vocabulary"
    SAMPLED_TOKEN = "sampled_token"


@dataclass(frozen=True, slots=True)
class ReverseKlRecord:
    """The student's reverse KL to the teacher on fresh responses to a benchmark's problems; `stage` as above.

    mean_nats: a valid token; None where no token is valid or it is not finite. standard_error_nats: over other
    responses; None also of a single one.
    """

    benchmark: str
    stage: str
    estimator: KlEstimator
    num_responses: int
    num_tokens: int
    mean_nats: float | None
    standard_error_nats: float | None
    problems_sha256: str
    max_response_tokens: int
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WeightingFidelity:
    """How one way to weigh a reused batch points: None where a gradient is zero or not finite.

    norm_ratio: the gradient's norm over the reference's.
    """

    weighting: str
    cosine: float | None
    norm_ratio: float | None


@dataclass(frozen=True, slots=True)
class GradientFidelityRecord:
    """Gradients of a batch that was reused `depth` times, against one of fresh responses.

    step, update: those that begin with the batch, from 1 over the whole job. half_cosine: of the gradients of the two
    halves of the fresh responses. reverse_kl_nats: mean over fresh tokens, None where it is not finite.
    """

    step: int
    update: int
    depth: int
    num_tokens: int
    num_fresh_tokens: int
    reverse_kl_nats: float | None
    half_cosine: float | None
    weightings: tuple[WeightingFidelity, ...]


@dataclass(frozen=True, slots=True)
class PromptOverlapRecord:
    """Prompts to train on that share 13 words in a row with a problem of one benchmark.

    examples: prompt id, problem id, share of the problem's runs of 13 words that are in the prompt.
    """

    benchmark: str
    num_prompts: int
    num_overlapping: int
    num_dropped: int
    examples: tuple[tuple[str, str, float], ...]


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
