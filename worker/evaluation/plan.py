"""In which order, and in what batches, the samples of an evaluation are drawn: a function of the spec.

A batch is the unit of resume. Its composition changes the rounding of every sample in it, so an evaluation
that was cut off draws the missing batches as they would have been drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import PublishedSet
from worker.rollouts.prompts import Prompt

# How long responses are beside those to the other benchmarks: competition problems are thought over longer.
RELATIVE_LENGTHS = {PublishedSet.AIME24: 3, PublishedSet.AIME25: 3, PublishedSet.AMC23: 2}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark's problems as a model is asked them, n samples each.

    problem_sha256s: of each problem's normalised text. sampling_sha256: of all that decides what the
    samples are drawn from.
    """

    spec: BenchmarkSpec
    prompts: tuple[Prompt, ...]
    problem_sha256s: tuple[str, ...]
    problems_sha256: str
    sampling_sha256: str
    num_samples: int

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True, slots=True)
class SamplePlace:
    """One sample of the plan; `position` is the problem's place in its benchmark."""

    benchmark: str
    position: int
    sample_index: int


def plan_batches(benchmarks: Sequence[Benchmark], *, batch_size: int) -> list[list[SamplePlace]]:
    """All samples of all benchmarks, the longest expected first, the samples of a problem together."""
    problems = [
        (benchmark, position)
        for benchmark in benchmarks
        for position in range(len(benchmark.prompts))
    ]
    problems.sort(key=lambda problem: -_expected_length(*problem))
    places = [
        SamplePlace(benchmark.name, position, sample_index)
        for benchmark, position in problems
        for sample_index in range(benchmark.num_samples)
    ]
    return [places[start : start + batch_size] for start in range(0, len(places), batch_size)]


def _expected_length(benchmark: Benchmark, position: int) -> int:
    """Long problems have long solutions, as far as anyone knows before asking."""
    return RELATIVE_LENGTHS.get(benchmark.name, 1) * len(benchmark.prompts[position].token_ids)  # type: ignore[call-overload]
