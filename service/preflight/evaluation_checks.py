"""What can be known of an evaluation of a model, or of a regrade, before it is queued."""

from dataclasses import dataclass

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.results import SpecWarning
from service.jobs.spec import EvaluationJobSpec
from service.preflight.chat_templates import check_chat_template
from service.preflight.checks import (
    check_benchmarks,
    check_responses_end,
    model_facts,
    model_facts_with_secret,
)
from service.preflight.doubts import checked_by_worker
from service.preflight.model_files import ModelFacts
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class EvaluationFindings:
    """What the checks of an evaluation that may run have learnt; problems are counted by benchmark.

    model: None where only the worker can read it, by a secret.
    """

    warnings: tuple[SpecWarning, ...]
    model: ModelFacts | None
    num_benchmark_problems: tuple[int, ...]


def check_evaluation(spec: EvaluationJobSpec, settings: Settings) -> EvaluationFindings:
    """Raises DriftgateError for what cannot run, naming the field."""
    model = model_facts(spec.model, settings=settings, field="model")
    return _check(spec, settings, model=model)


def check_evaluation_on_worker(spec: EvaluationJobSpec, settings: Settings) -> EvaluationFindings:
    """As `check_evaluation`, with the secrets. Raises SECRET_NOT_FOUND besides."""
    model = model_facts_with_secret(spec.model, settings=settings, field="model")
    return _check(spec, settings, model=model)


def _check(
    spec: EvaluationJobSpec, settings: Settings, *, model: ModelFacts | None
) -> EvaluationFindings:
    if model is not None:
        check_responses_end(spec.model, model, field="model")
        check_chat_template(
            model,
            prompts=None,
            evaluation=spec.evaluation,
            reference=spec.model.model,
            field="model",
        )
        _check_positions(spec, model)
    num_benchmark_problems = check_benchmarks(spec.evaluation, settings=settings)
    return EvaluationFindings(
        warnings=() if model is not None else (checked_by_worker(spec.model, field="model"),),
        model=model,
        num_benchmark_problems=num_benchmark_problems,
    )


def _check_positions(spec: EvaluationJobSpec, model: ModelFacts) -> None:
    """Prompt and response have to fit into the positions of the model."""
    num_response_tokens, limit = spec.evaluation.max_response_tokens, model.max_positions
    if limit is None or spec.max_prompt_tokens + num_response_tokens <= limit:
        return
    allowed = (
        f"at most {max(0, limit - spec.max_prompt_tokens)}: the model has {limit} positions and "
        f"max_prompt_tokens is {spec.max_prompt_tokens}"
    )
    raise DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"Prompt and response do not fit: evaluation.max_response_tokens is {num_response_tokens}, "
        f"allowed: {allowed}. Lower it or max_prompt_tokens.",
        [Violation("evaluation.max_response_tokens", str(num_response_tokens), allowed)],
    )
