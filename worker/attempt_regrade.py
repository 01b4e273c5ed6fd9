"""An attempt at a regrade: the finished evaluations of another job, judged by today's grader and answers."""

from collections.abc import Mapping, Sequence

from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.problem_text import problem_sha256
from service.jobs.records import SampleBatchRecord, SampleRecord
from service.jobs.results import Job
from service.jobs.spec import RegradeJobSpec
from service.jobs.state import JobPhase
from service.preflight.problem_hashes import problems_sha256
from service.preflight.regrade import evaluation_of, find_regraded
from worker.attempt import Attempt
from worker.attempt_end import StopRequestedError
from worker.attempt_evaluation import sampling_sha256
from worker.evaluation.evaluate import summarise
from worker.evaluation.grader import Grader
from worker.evaluation.plan import Benchmark
from worker.evaluation.regrade import (
    GradedBenchmark,
    by_benchmark,
    in_chunks,
    problems_of,
    regrade_samples,
)
from worker.graded_benchmarks import graded_benchmarks
from worker.rollouts.prompts import Prompt


def regrade(attempt: Attempt, spec: RegradeJobSpec) -> None:
    """Does what earlier attempts have not done. Raises StopRequestedError when drained."""
    source = attempt.outlast(
        lambda: find_regraded(spec, job_store=attempt.job_store, result_store=attempt.result_store)
    )
    evaluation = evaluation_of(source)
    benchmarks = attempt.outlast_store(
        lambda: graded_benchmarks(evaluation, settings=attempt.settings)
    )
    finished = attempt.outlast(lambda: attempt.result_store.evaluated(source.id))
    attempt.recorder.record_now(JobPhase.EVALUATING)
    with Grader() as grader:
        for stage in sorted({stage for stage, _ in finished}):
            names = {name for each, name in finished if each == stage}
            samples = _regrade_stage(attempt, source, stage, names, benchmarks, grader=grader)
            _record_evaluations(attempt, evaluation, stage, samples, benchmarks)


def _regrade_stage(
    attempt: Attempt,
    source: Job,
    stage: str,
    names: set[str],
    benchmarks: Mapping[str, GradedBenchmark],
    *,
    grader: Grader,
) -> Sequence[SampleRecord]:
    store, job_id = attempt.result_store, attempt.lease.job_id
    earlier = attempt.outlast(lambda: store.evaluated_samples(job_id, stage))
    done = {_place(sample): sample for sample in earlier}
    wanted = attempt.outlast(lambda: store.evaluated_samples(source.id, stage))
    total = sum(sample.benchmark in names for sample in wanted)
    for chunk in in_chunks(store.samples_with_text(source.id, stage=stage)):
        missing = [s for s in chunk if s.benchmark in names and _place(s) not in done]
        if not missing:
            continue
        if attempt.stop.is_set():
            raise StopRequestedError
        regraded = regrade_samples(missing, benchmarks, grader=grader)
        done |= {_place(sample): sample for sample in regraded}
        attempt.recorder.record_now(
            SampleBatchRecord(
                stage, tuple(regraded), evaluated_samples=len(done), samples_to_evaluate=total
            )
        )
    return list(done.values())


def _record_evaluations(
    attempt: Attempt,
    evaluation: EvaluationSpec,
    stage: str,
    samples: Sequence[SampleRecord],
    benchmarks: Mapping[str, GradedBenchmark],
) -> None:
    for name, of_benchmark in by_benchmark(samples).items():
        problems = problems_of(of_benchmark, benchmarks[name])
        benchmark = Benchmark(
            spec=benchmarks[name].spec,
            prompts=tuple(Prompt(problem=problem, token_ids=()) for problem in problems),
            problem_sha256s=tuple(map(problem_sha256, problems)),
            problems_sha256=problems_sha256(problems),
            sampling_sha256=sampling_sha256(evaluation, benchmarks[name].spec),
            num_samples=evaluation.samples_of(benchmarks[name].spec),
        )
        attempt.recorder.record_now(
            summarise(benchmark, of_benchmark, stage=stage, spec=evaluation)
        )


def _place(sample: SampleRecord) -> tuple[str, int, int]:
    return sample.benchmark, sample.position, sample.sample_index
