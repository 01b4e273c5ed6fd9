"""Samples of an earlier evaluation judged anew: the same texts, the grader and the answers of today."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import Problem
from service.jobs.problem_text import problem_sha256
from service.jobs.records import SampleRecord
from worker.evaluation.evaluate import grading_rule
from worker.evaluation.grader import Grader, GradingRequest

SAMPLES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class GradedBenchmark:
    """A benchmark as it is today; problems by id."""

    spec: BenchmarkSpec
    problems: Mapping[str, Problem]


def regrade_samples(
    samples: Sequence[SampleRecord], benchmarks: Mapping[str, GradedBenchmark], *, grader: Grader
) -> list[SampleRecord]:
    """The samples with new verdicts and without their text.

    Raises DATASET_INVALID for a sample whose problem is no longer there, or has another text.
    """
    verdicts = grader.grade([_request(each, benchmarks[each.benchmark]) for each in samples])
    return [
        replace(
            sample,
            verdict=verdict.outcome,
            layer=verdict.layer,
            extracted=verdict.extracted,
            answer_key=verdict.answer_key,
            grading_ms=verdict.milliseconds,
            sampling_ms=0.0,
            text=None,
        )
        for sample, verdict in zip(samples, verdicts, strict=True)
    ]


def problems_of(samples: Sequence[SampleRecord], benchmark: GradedBenchmark) -> tuple[Problem, ...]:
    """The problems that the samples of one benchmark answer, in the order of their positions."""
    ids = {sample.position: sample.problem_id for sample in samples}
    return tuple(benchmark.problems[ids[position]] for position in sorted(ids))


def in_chunks(samples: Iterable[SampleRecord]) -> Iterator[list[SampleRecord]]:
    """As many as are graded together: their texts are in memory."""
    iterator = iter(samples)
    while chunk := list(islice(iterator, SAMPLES_AT_ONCE)):
        yield chunk


def by_benchmark(samples: Sequence[SampleRecord]) -> Mapping[str, list[SampleRecord]]:
    grouped: dict[str, list[SampleRecord]] = defaultdict(list)
    for sample in samples:
        grouped[sample.benchmark].append(sample)
    return grouped


def _request(sample: SampleRecord, benchmark: GradedBenchmark) -> GradingRequest:
    problem = benchmark.problems.get(sample.problem_id)
    if problem is None or problem_sha256(problem) != sample.problem_sha256:
        given = "is no longer there" if problem is None else "has another text now"
        raise DriftgateError(
            ErrorCode.DATASET_INVALID,
            f"Problem {sample.problem_id!r} of benchmark {sample.benchmark} {given}, so the samples "
            "that answer it cannot be graded. Put the problem back as it was.",
            [Violation("job_id", sample.problem_id, "the problems that were sampled")],
        )
    assert sample.text is not None, "a job that sampled has kept its texts"
    assert problem.answer is not None, "a benchmark has answers"
    return GradingRequest(
        response=sample.text, gold=problem.answer, rule=grading_rule(benchmark.spec)
    )
