"""pass@k of an attempt: each stage and benchmark once in the job's life, resumed by batch."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec
from service.jobs.problem_sources import Problem
from service.jobs.problem_text import problem_sha256
from service.jobs.records import SampleBatchRecord, SampleRecord
from service.jobs.state import JobPhase
from service.preflight.problem_hashes import problems_sha256
from service.preflight.problems import load_benchmark
from service.settings import Settings
from worker.attempt import Attempt
from worker.attempt_end import StopRequestedError
from worker.evaluation.evaluate import draw_samples, grading_rule, summarise
from worker.evaluation.grader import Grader
from worker.evaluation.grading import gold_problem
from worker.evaluation.plan import Benchmark, SamplePlace, plan_batches
from worker.rollouts.engine import RolloutEngine
from worker.rollouts.prompts import encode_prompts


def load_benchmarks(
    spec: EvaluationSpec, *, tokenizer: Any, max_prompt_tokens: int, settings: Settings
) -> list[Benchmark]:
    """The job's benchmarks, loaded before anything is trained: a missing file costs no training."""
    benchmarks = []
    for index, benchmark in enumerate(spec.benchmarks):
        field = f"evaluation.benchmarks.{index}.problems"
        problems = load_benchmark(benchmark, settings=settings, field=field)
        _refuse_answers_that_grade_nothing(problems, benchmark, field=field)
        prompts = encode_prompts(
            problems,
            source=benchmark.problems,
            prompt_format=benchmark.format,
            tokenizer=tokenizer,
            max_prompt_tokens=max_prompt_tokens,
            field=field,
            enable_thinking=spec.enable_thinking,
        )
        benchmarks.append(
            Benchmark(
                spec=benchmark,
                prompts=prompts,
                problem_sha256s=tuple(problem_sha256(problem) for problem in problems),
                problems_sha256=problems_sha256(problems),
                sampling_sha256=sampling_sha256(spec, benchmark),
                num_samples=spec.samples_of(benchmark),
            )
        )
    return benchmarks


def _refuse_answers_that_grade_nothing(
    problems: Sequence[Problem], benchmark: BenchmarkSpec, *, field: str
) -> None:
    r"""What only the grader knows of an answer, such as an empty `\text{}`."""
    for problem in problems:
        fault = gold_problem(problem.answer or "", grading_rule(benchmark))
        if fault is not None:
            raise DriftgateError(
                ErrorCode.DATASET_INVALID,
                f"The answer {(problem.answer or '')[:80]!r} of problem {problem.id!r} of {field} {fault}, "
                "so no response could be graded as right.",
                [Violation(field, problem.id, "an answer that a response can be compared with")],
            )


def sampling_sha256(spec: EvaluationSpec, benchmark: BenchmarkSpec) -> str:
    """Hex digest of all that decides what a model is asked and sampled from, but not of the seed."""
    decisive = {
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "top_k": spec.top_k,
        "max_response_tokens": spec.max_response_tokens,
        "enable_thinking": spec.enable_thinking,
        # What is null is left out, so that hashes of before a field was there stay.
        "format": benchmark.format.model_dump(mode="json", exclude_none=True),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def pinned_subset(benchmark: Benchmark, *, max_problems: int) -> Benchmark:
    """The problems with the smallest hashes, in their order: the same subset for every job and step."""
    by_hash = sorted(range(len(benchmark.prompts)), key=lambda i: benchmark.problem_sha256s[i])
    kept = sorted(by_hash[:max_problems])
    prompts = tuple(benchmark.prompts[index] for index in kept)
    return replace(
        benchmark,
        prompts=prompts,
        problem_sha256s=tuple(benchmark.problem_sha256s[index] for index in kept),
        problems_sha256=problems_sha256([prompt.problem for prompt in prompts]),
    )


@dataclass(frozen=True, slots=True)
class AttemptEvaluation:
    """Evaluates models on benchmarks, each stage and benchmark once in the job's life."""

    spec: EvaluationSpec
    benchmarks: Sequence[Benchmark]
    tokenizer: Any
    batch_size: int
    attempt: Attempt
    grader: Grader

    def run(
        self,
        stage: str,
        *,
        phase: JobPhase,
        engine: RolloutEngine,
        benchmarks: Sequence[Benchmark] | None = None,
    ) -> Sequence[SampleRecord]:
        """Draws and records what earlier attempts have not; `benchmarks` are the job's unless given.

        Returns the samples of the stage, without their texts; none where earlier attempts have recorded it.

        Raises StopRequestedError between batches.
        """
        benchmarks = self.benchmarks if benchmarks is None else benchmarks
        store, job_id = self.attempt.result_store, self.attempt.lease.job_id
        # Asked for anew: an attempt that goes back to an older checkpoint supersedes final results.
        evaluated = self.attempt.outlast(lambda: store.evaluated(job_id))
        missing = [one for one in benchmarks if (stage, one.name) not in evaluated]
        if not missing:
            return ()
        self.attempt.recorder.record_now(phase)
        earlier = self.attempt.outlast(lambda: store.evaluated_samples(job_id, stage))
        samples = self._draw_missing(stage, benchmarks, earlier, engine=engine)
        for benchmark in missing:
            of_benchmark = [sample for sample in samples if sample.benchmark == benchmark.name]
            self.attempt.recorder.record_now(
                summarise(benchmark, of_benchmark, stage=stage, spec=self.spec)
            )
        return samples

    def _draw_missing(
        self,
        stage: str,
        benchmarks: Sequence[Benchmark],
        earlier: Sequence[SampleRecord],
        *,
        engine: RolloutEngine,
    ) -> Sequence[SampleRecord]:
        """All samples of the stage; the batches that an earlier attempt has written are not drawn again."""
        by_name = {benchmark.name: benchmark for benchmark in benchmarks}
        batches = plan_batches(benchmarks, batch_size=self.batch_size)
        samples = {
            SamplePlace(each.benchmark, each.position, each.sample_index): each for each in earlier
        }
        for batch in batches:
            if all(place in samples for place in batch):
                continue
            if self.attempt.stop.is_set():
                raise StopRequestedError
            drawn = draw_samples(
                batch,
                by_name,
                engine=engine,
                tokenizer=self.tokenizer,
                grader=self.grader,
                spec=self.spec,
            )
            # Their texts go to the database and need not stay here.
            samples |= {
                place: replace(sample, text=None)
                for place, sample in zip(batch, drawn, strict=True)
            }
            total = sum(map(len, batches))
            self.attempt.recorder.record_now(SampleBatchRecord(stage, drawn, len(samples), total))
        return list(samples.values())
