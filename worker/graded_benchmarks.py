"""The benchmarks of an earlier evaluation as they are today; imports no torch, so that `driftgate regrade` starts at once."""

from collections.abc import Mapping

from service.jobs.evaluation_spec import EvaluationSpec
from service.preflight.problems import load_benchmark
from service.settings import Settings
from worker.evaluation.regrade import GradedBenchmark


def graded_benchmarks(
    evaluation: EvaluationSpec, *, settings: Settings
) -> Mapping[str, GradedBenchmark]:
    """The benchmarks by name, with the problems and answers of today."""
    benchmarks = {}
    for index, benchmark in enumerate(evaluation.benchmarks):
        field = f"evaluation.benchmarks.{index}.problems"
        problems = load_benchmark(benchmark, settings=settings, field=field)
        by_id = {problem.id: problem for problem in problems}
        benchmarks[benchmark.name] = GradedBenchmark(benchmark, by_id)
    return benchmarks
