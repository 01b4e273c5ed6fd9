"""One model on one benchmark: sampled, graded, counted by problem."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from service.jobs.records import EvaluationRecord, ProblemOutcome
from service.jobs.seeds import derive_seed
from service.jobs.spec import ArithmeticSource, BenchmarkSpec, EvaluationSpec
from worker.evaluation.grading import Outcome, Rule, grade
from worker.rollouts.engine import (
    FinishReason,
    Response,
    RolloutEngine,
    RolloutRequest,
    SamplingParams,
)
from worker.rollouts.prompts import Prompt


class Decoder(Protocol):
    """The part of a transformers tokenizer that grading needs."""

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str: ...


def evaluate(
    benchmark: BenchmarkSpec,
    prompts: Sequence[Prompt],
    *,
    stage: str,
    problems_sha256: str,
    engine: RolloutEngine,
    tokenizer: Decoder,
    spec: EvaluationSpec,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationRecord:
    """The outcome of `spec.samples_per_problem` samples of every prompt, in the order of the prompts.

    A sample's seed depends on the spec, the benchmark, the problem and the sample's number alone, so that
    every stage and every job with one spec pairs. `on_progress` is given the problems graded and all of them.
    `seconds` covers generation and grading.
    """
    started = time.perf_counter()
    responses_by_prompt = engine.generate(
        [
            RolloutRequest(
                prompt_token_ids=prompt.token_ids,
                seeds=_sample_seeds(spec, benchmark=benchmark.name, problem_id=prompt.problem.id),
            )
            for prompt in prompts
        ],
        sampling=SamplingParams(
            temperature=spec.temperature,
            top_p=spec.top_p,
            max_response_tokens=spec.max_response_tokens,
        ),
    )
    rule = grading_rule(benchmark)
    outcomes = []
    for prompt, responses in zip(prompts, responses_by_prompt, strict=True):
        outcomes.append(_grade_problem(prompt, responses, tokenizer=tokenizer, rule=rule))
        if on_progress is not None:
            on_progress(len(outcomes), len(prompts))
    return EvaluationRecord(
        benchmark=benchmark.name,
        stage=stage,
        problems_sha256=problems_sha256,
        samples_per_problem=spec.samples_per_problem,
        k=spec.k,
        temperature=spec.temperature,
        top_p=spec.top_p,
        max_response_tokens=spec.max_response_tokens,
        seed=spec.seed,
        num_response_tokens=sum(
            len(response.token_ids) for responses in responses_by_prompt for response in responses
        ),
        seconds=time.perf_counter() - started,
        problems=tuple(outcomes),
    )


def grading_rule(benchmark: BenchmarkSpec) -> Rule:
    """The built-in arithmetic marks its answers with `#### `; every other benchmark boxes them."""
    return Rule.ARITHMETIC if isinstance(benchmark.problems, ArithmeticSource) else Rule.BOXED


def _sample_seeds(spec: EvaluationSpec, *, benchmark: str, problem_id: str) -> tuple[int, ...]:
    return tuple(
        derive_seed("evaluation", spec.seed, benchmark, problem_id, sample_index)
        for sample_index in range(spec.samples_per_problem)
    )


def _grade_problem(
    prompt: Prompt, responses: Sequence[Response], *, tokenizer: Decoder, rule: Rule
) -> ProblemOutcome:
    """Every sample counts once: as right, else as cut off, else as without an answer, else as wrong."""
    gold = prompt.problem.answer
    if gold is None:
        raise ValueError(f"problem {prompt.problem.id!r} has no answer to grade against")
    num_right = num_truncated = num_no_answer = 0
    for response in responses:
        text = tokenizer.decode(list(response.token_ids), skip_special_tokens=True)
        outcome = grade(text, gold=gold, rule=rule).outcome
        if outcome is Outcome.RIGHT:
            num_right += 1
        elif response.finish_reason is FinishReason.LENGTH:
            num_truncated += 1
        elif outcome is Outcome.NO_ANSWER:
            num_no_answer += 1
    return ProblemOutcome(
        problem_id=prompt.problem.id,
        n=len(responses),
        c=num_right,
        num_no_answer=num_no_answer,
        num_truncated=num_truncated,
    )
