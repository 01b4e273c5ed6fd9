"""The student's distance to the teacher on held-out problems: before and after training, once in the job's life each.

A killed measurement is made again as a whole, to the same numbers: it costs about as much as the rollouts of a step.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs.records import KlEstimator, ReverseKlRecord
from service.jobs.seeds import derive_seed
from service.jobs.spec import JobSpec
from service.jobs.state import JobPhase
from service.statistics.ratio import ratio
from worker.attempt import Attempt
from worker.attempt_end import StopRequestedError
from worker.attempt_evaluation import pinned_subset
from worker.evaluation.plan import Benchmark
from worker.rollouts.engine import RolloutRequest
from worker.training.reverse_kl import ResponseKl, estimator_of
from worker.training.teacher import Teacher
from worker.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class AttemptReverseKl:
    """Measures the trainer's student on a pinned subset of each benchmark, none of whose problems it trains on."""

    spec: JobSpec
    benchmarks: Sequence[Benchmark]
    trainer: Trainer
    teacher: Teacher
    attempt: Attempt

    def run(self, stage: str, *, phase: JobPhase) -> None:
        """Records what earlier attempts have not. Raises StopRequestedError between benchmarks."""
        num_problems = self.spec.evaluation.reverse_kl_problems
        if not (num_problems and self.benchmarks):
            return
        store, job_id = self.attempt.result_store, self.attempt.lease.job_id
        # Asked for anew: an attempt that goes back to an older checkpoint supersedes what was final.
        measured = self.attempt.outlast(lambda: store.reverse_kls_measured(job_id))
        missing = [one for one in self.benchmarks if (stage, one.name) not in measured]
        if missing:
            self.attempt.recorder.record_now(phase)
        for benchmark in missing:
            if self.attempt.stop.is_set():
                raise StopRequestedError
            subset = pinned_subset(benchmark, max_problems=num_problems)
            self.attempt.recorder.record_now(self._measured(subset, stage=stage))

    def _measured(self, benchmark: Benchmark, *, stage: str) -> ReverseKlRecord:
        started = time.perf_counter()
        # The benchmarks apart, so that what an earlier attempt has measured changes no batch.
        responses = self.trainer.reverse_kl(
            [
                RolloutRequest(prompt.token_ids, seeds=(self._seed(benchmark, prompt.problem.id),))
                for prompt in benchmark.prompts
            ]
        )
        return reverse_kl_record(
            responses,
            benchmark=benchmark,
            stage=stage,
            spec=self.spec,
            estimator=estimator_of(self.teacher),
            seconds=time.perf_counter() - started,
        )

    def _seed(self, benchmark: Benchmark, problem_id: str) -> int:
        """The same before and after training, and in every job of one evaluation seed, so that they pair."""
        return derive_seed("reverse-kl", self.spec.evaluation.seed, benchmark.name, problem_id)


def reverse_kl_record(
    responses: Sequence[ResponseKl],
    *,
    benchmark: Benchmark,
    stage: str,
    spec: JobSpec,
    estimator: KlEstimator,
    seconds: float,
) -> ReverseKlRecord:
    """The mean over all tokens, so that a long response counts by its length."""
    nats, sizes = [each.nats for each in responses], [each.num_tokens for each in responses]
    found = ratio(nats, sizes) if nats and all(map(math.isfinite, nats)) else None
    return ReverseKlRecord(
        benchmark=benchmark.name,
        stage=stage,
        estimator=estimator,
        num_responses=len(responses),
        num_tokens=sum(sizes),
        mean_nats=None if found is None else found.estimate,
        standard_error_nats=None if found is None else found.standard_error,
        problems_sha256=benchmark.problems_sha256,
        max_response_tokens=spec.rollout.max_response_tokens,
        seed=spec.evaluation.seed,
        seconds=seconds,
    )
