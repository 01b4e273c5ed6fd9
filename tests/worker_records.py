"""What a worker records, with values for all that a test does not care about."""

from collections.abc import Sequence

from service.jobs.catalog import Metric
from service.jobs.records import (
    BlockDrift,
    EvaluationRecord,
    ProblemOutcome,
    SampleBatchRecord,
    SampleRecord,
    UpdateRecord,
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


def an_update(update: int, *, loss: float = 0.5, num_blocks: int = 2) -> UpdateRecord:
    """Six updates a step."""
    return UpdateRecord(
        step=(update + 5) // 6,
        update=update,
        metrics={Metric.LOSS: loss, Metric.GRADIENT_NORM: 1.0},
        drift_by_block=tuple(
            BlockDrift(num_tokens=16, mean_drift_nats=-0.1, mean_abs_drift_nats=0.1)
            for _ in range(num_blocks)
        ),
    )
