"""What a worker records, with values for all that a test does not care about."""

import itertools
from collections.abc import Sequence

import numpy as np

from service.jobs.catalog import Metric
from service.jobs.records import (
    BlockDrift,
    EvaluationRecord,
    GradientFidelityRecord,
    KlEstimator,
    ProblemOutcome,
    ReverseKlRecord,
    SampleBatchRecord,
    SampleRecord,
    TokenDriftRecord,
    UpdateRecord,
    WeightingFidelity,
)


def an_outcome(problem_id: str, *, n: int, c: int, **changes: object) -> ProblemOutcome:
    fields = {
        "problem_sha256": problem_id.rjust(64, "0"),
        "num_no_answer": 0,
        "num_truncated": 0,
        "num_grader_timeouts": 0,
        "num_loops": 0,
    }
    return ProblemOutcome(problem_id=problem_id, n=n, c=c, **(fields | changes))


def an_evaluation_record(
    stage: str, problems: Sequence[ProblemOutcome], **changes: object
) -> EvaluationRecord:
    """n is that of the first problem, k is 1 and n."""
    n = problems[0].n
    fields = {
        "benchmark": "arithmetic",
        "problems_sha256": "b" * 64,
        "samples_per_problem": n,
        "k": (1, n),
        "profile": "custom",
        "temperature": 1.0,
        "top_p": 0.9,
        "top_k": None,
        "max_response_tokens": 256,
        "sampling_sha256": "c" * 64,
        "grader": "a grader",
        "seed": 0,
        "num_response_tokens": 4096,
        "seconds": 1.5,
    }
    return EvaluationRecord(stage=stage, problems=tuple(problems), **(fields | changes))


def a_reverse_kl(stage: str, mean_nats: float | None, **changes: object) -> ReverseKlRecord:
    """Over four responses of 25 tokens."""
    fields = {
        "benchmark": "arithmetic",
        "estimator": KlEstimator.FULL_VOCABULARY,
        "num_responses": 4,
        "num_tokens": 100,
        "standard_error_nats": 0.0625,
        "problems_sha256": "b" * 64,
        "max_response_tokens": 64,
        "seed": 0,
        "seconds": 0.5,
    }
    return ReverseKlRecord(stage=stage, mean_nats=mean_nats, **(fields | changes))


def a_sample(position: int, sample_index: int = 0, **changes: object) -> SampleRecord:
    """A right answer to problem `p<position>`, drawn to its end."""
    fields = {
        "benchmark": "arithmetic",
        "problem_id": f"p{position}",
        "problem_sha256": f"p{position}".rjust(64, "0"),
        "seed": 1000 * position + sample_index,
        "prompt_tokens": 10,
        "response_tokens": 40,
        "finish_reason": "stop",
        "is_loop": False,
        "verdict": "right",
        "layer": "string",
        "extracted": "42",
        "answer_key": "42",
        "sampling_ms": 8.0,
        "grading_ms": 0.5,
        "text": "#### 42",
    }
    return SampleRecord(position=position, sample_index=sample_index, **(fields | changes))


def a_batch(stage: str, samples: Sequence[SampleRecord], *, total: int = 100) -> SampleBatchRecord:
    return SampleBatchRecord(stage, tuple(samples), len(samples), total)


def a_token_drift(
    drifts_by_response: Sequence[Sequence[float]],
    *,
    abs_losses: Sequence[float] | None = None,
    num_responses_left_out: int = 0,
) -> TokenDriftRecord:
    """Of the first minibatch; losses of 1 and no newline unless said otherwise."""
    drifts = list(itertools.chain(*drifts_by_response))
    return TokenDriftRecord(
        minibatch=1,
        num_responses_left_out=num_responses_left_out,
        response_lengths=np.array([len(one) for one in drifts_by_response], "<u4").tobytes(),
        drift_nats=np.array(drifts, "<f2").tobytes(),
        abs_losses=np.array(abs_losses or [1.0] * len(drifts), "<f2").tobytes(),
        newlines=bytes(-(-len(drifts) // 8)),
    )


def an_update(
    update: int,
    *,
    loss: float = 0.5,
    num_blocks: int = 2,
    token_drift: TokenDriftRecord | None = None,
) -> UpdateRecord:
    """Six updates a step."""
    return UpdateRecord(
        step=(update + 5) // 6,
        update=update,
        metrics={Metric.LOSS: loss, Metric.GRADIENT_NORM: 1.0},
        drift_by_block=tuple(
            BlockDrift(num_tokens=16, mean_drift_nats=-0.1, mean_abs_drift_nats=0.1)
            for _ in range(num_blocks)
        ),
        token_drift=token_drift,
    )


def a_gradient_fidelity(*, depth: int, step: int = 1, **changes: object) -> GradientFidelityRecord:
    """Six updates a step; of the second weighting nothing can be said."""
    fields = {
        "num_tokens": 400,
        "num_fresh_tokens": 390,
        "reverse_kl_nats": 0.03,
        "half_cosine": 0.6,
        "weightings": (
            WeightingFidelity("job", 0.5, 1.25),
            WeightingFidelity("frozen/clip/token", None, None),
        ),
    }
    return GradientFidelityRecord(step=step, update=6 * step - 5, depth=depth, **(fields | changes))
