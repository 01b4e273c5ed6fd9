"""An attempt at an evaluation of a model that nobody trains."""

import torch

from service.jobs import stages
from service.jobs.spec import EvaluationJobSpec
from service.jobs.state import JobPhase
from worker.attempt import Attempt
from worker.attempt_evaluation import AttemptEvaluation, load_benchmarks
from worker.attempt_models import load_evaluated_model
from worker.evaluation.grader import Grader


def evaluate_model(
    attempt: Attempt, spec: EvaluationJobSpec, *, device: torch.device, dtype: torch.dtype
) -> None:
    """Does what earlier attempts have not done of the job. Raises StopRequestedError when drained."""
    engine, tokenizer = load_evaluated_model(attempt, spec, device=device, dtype=dtype)
    benchmarks = attempt.outlast_store(
        lambda: load_benchmarks(
            spec.evaluation,
            tokenizer=tokenizer,
            max_prompt_tokens=spec.max_prompt_tokens,
            settings=attempt.settings,
        )
    )
    with Grader() as grader:
        AttemptEvaluation(
            spec=spec.evaluation,
            benchmarks=benchmarks,
            tokenizer=tokenizer,
            batch_size=spec.compute.rollout_batch_size,
            attempt=attempt,
            grader=grader,
        ).run(stages.MODEL, phase=JobPhase.EVALUATING, engine=engine)
