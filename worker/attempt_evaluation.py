"""pass@k of an attempt: each stage and benchmark once in the job's life."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.jobs.spec import BenchmarkSpec, JobSpec
from service.jobs.state import JobPhase
from service.preflight.problems import load_problems, problems_sha256
from worker.attempt_end import StopRequestedError
from worker.evaluation.evaluate import evaluate
from worker.recorder import Recorder
from worker.rollouts.engine import RolloutEngine
from worker.rollouts.prompts import Prompt, encode_prompts


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark's problems as the student is asked them."""

    spec: BenchmarkSpec
    prompts: tuple[Prompt, ...]
    problems_sha256: str


def load_benchmarks(spec: JobSpec, *, tokenizer: Any, dataset_root: Path) -> list[Benchmark]:
    """The job's benchmarks, loaded before anything is trained: a missing file costs no training."""
    benchmarks = []
    for index, benchmark in enumerate(spec.evaluation.benchmarks):
        field = f"evaluation.benchmarks.{index}.problems"
        problems = load_problems(
            benchmark.problems,
            dataset_root=dataset_root,
            split="held-out",
            field=field,
            graded=True,
        )
        prompts = encode_prompts(
            problems,
            source=benchmark.problems,
            prompt_format=benchmark.format,
            tokenizer=tokenizer,
            max_prompt_tokens=spec.rollout.max_prompt_tokens,
            field=field,
        )
        benchmarks.append(Benchmark(benchmark, prompts, problems_sha256(problems)))
    return benchmarks


@dataclass(frozen=True, slots=True)
class AttemptEvaluation:
    """Evaluates models on the job's benchmarks, each stage and benchmark once in the job's life."""

    spec: JobSpec
    benchmarks: Sequence[Benchmark]
    tokenizer: Any
    recorder: Recorder
    evaluated: Callable[[], set[tuple[str, str]]]
    stop: threading.Event

    def run(self, stage: str, *, phase: JobPhase, engine: RolloutEngine) -> None:
        """Records what earlier attempts have not. Raises StopRequestedError between benchmarks."""
        # Asked for anew: an attempt that goes back to an older checkpoint supersedes final results.
        evaluated = self.evaluated()
        missing = [one for one in self.benchmarks if (stage, one.spec.name) not in evaluated]
        if missing:
            self.recorder.record_now(phase)
        for benchmark in missing:
            if self.stop.is_set():
                raise StopRequestedError
            record = evaluate(
                benchmark.spec,
                benchmark.prompts,
                stage=stage,
                problems_sha256=benchmark.problems_sha256,
                engine=engine,
                tokenizer=self.tokenizer,
                spec=self.spec.evaluation,
            )
            self.recorder.record_now(record)
