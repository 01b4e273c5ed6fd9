"""Finished jobs of the demo as the API would answer, with numbers that can be worked out by hand."""

from datetime import UTC, datetime, timedelta

from service.demo.figures import FinishedJob
from service.demo.jobs import demo_specs
from service.jobs.results import (
    BenchmarkResult,
    Job,
    JobMetrics,
    JobResults,
    PassEstimate,
    ProblemCount,
    Progress,
)
from service.jobs.state import JobState

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAMPLES = 8


def job(spec, *, state=JobState.SUCCEEDED, **fields):
    defaults = {
        "id": f"id of {spec.name}",
        "name": spec.name,
        "state": state,
        "phase": None,
        "progress": Progress(step=0, total_steps=spec.steps, update=0, total_updates=120),
        "attempt": 1,
        "cancel_requested_at": None,
        "failure": None,
        "warnings": (),
        "labels": spec.labels,
        "spec": spec,
        "spec_version": 1,
        "version": 9,
        "created_at": STARTED,
        "updated_at": STARTED,
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(seconds=61.5),
    }
    return Job(**(defaults | fields))


def evaluation(stage, right_by_problem, *, problems_sha256="same"):
    """`right_by_problem`: problem id → how many of the 8 samples are right."""
    return BenchmarkResult(
        benchmark="arithmetic",
        stage=stage,
        attempt=1,
        problems_sha256=problems_sha256,
        num_problems=len(right_by_problem),
        samples_per_problem=SAMPLES,
        profile="policy",
        temperature=1.0,
        top_p=1.0,
        top_k=None,
        max_response_tokens=112,
        sampling_sha256="",
        grader="",
        seed=0,
        pass_at={
            str(k): PassEstimate(
                estimate=0.1 * k, low=0.0, high=1.0, sampling_low=0.0, sampling_high=1.0
            )
            for k in (1, 8)
        },
        maj_at={},
        token_budgets=(),
        fraction_no_answer=0.0,
        fraction_truncated=0.0,
        fraction_loops=0.0,
        fraction_grader_timeouts=0.0,
        mean_response_tokens=50.0,
        num_response_tokens=1000,
        seconds=2.5,
        problems=tuple(
            ProblemCount(problem_id=problem_id, n=SAMPLES, c=c)
            for problem_id, c in right_by_problem.items()
        ),
    )


def results(*evaluations):
    return JobResults(
        job_id="1",
        evaluations=evaluations,
        means=(),
        differences=(),
        prompt_overlaps=(),
        note="",
    )


def metrics(**columns):
    """Columns by metric name, with `__` for the slash; equally long."""
    (length,) = {len(column) for column in columns.values()}
    numbers = tuple(range(1, length + 1))
    return JobMetrics(
        job_id="1",
        update=numbers,
        step=numbers,
        attempt=(1,) * length,
        columns={name.replace("__", "/"): column for name, column in columns.items()},
    )


METRICS = metrics(
    gate__std=(0.0, 0.1, None, 0.2),
    gate__min=(1.0, 0.75, 0.5, 0.875),
    gate__max=(1.0, 1.25, 1.5, 1.125),
    drift__mean=(0.0, -0.5, 0.5, 0.25),
    drift__mean_abs=(0.0, 0.5, 0.5, 1.0),
    rollout__response_tokens=(100.0, None, 200.0, None),
    rollout__seconds=(1.0, None, 2.0, None),
    score__seconds=(0.25, None, 0.5, None),
    train__num_tokens=(100.0, 100.0, 200.0, 200.0),
    train__update_seconds=(0.5, 0.5, 0.5, 0.5),
)


def of_twenty(p, q):
    """Ten problems like p and ten like q, in turn."""
    return {f"{name}{i}": right for i in range(10) for name, right in (("p", p), ("q", q))}


BEFORE = of_twenty(0, 4)
UNGATED, GATED = of_twenty(2, 4), of_twenty(4, 8)


def finished_demo():
    """The four jobs: from BEFORE to UNGATED without a gate, to GATED with one."""
    return [
        FinishedJob(
            job=job(spec),
            results=results(evaluation("baseline", BEFORE), evaluation("final", after)),
            metrics=METRICS,
        )
        for spec, after in zip(demo_specs(7), [UNGATED, GATED] * 2, strict=True)
    ]
