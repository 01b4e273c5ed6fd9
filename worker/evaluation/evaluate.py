"""Samples of a model on benchmarks: drawn by batch, graded, and counted by problem."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec
from service.jobs.problem_sources import ArithmeticSource
from service.jobs.records import EvaluationRecord, ProblemOutcome, SampleRecord
from service.jobs.seeds import derive_seed
from worker.evaluation.grader import Grader, GradingRequest, grader_version
from worker.evaluation.grading import Outcome, Rule, Verdict
from worker.evaluation.loops import is_loop
from worker.evaluation.plan import Benchmark, SamplePlace
from worker.rollouts.engine import (
    FinishReason,
    Response,
    RolloutEngine,
    RolloutRequest,
    SamplingParams,
)


class Decoder(Protocol):
    """The part of a transformers tokenizer that grading needs."""

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str: ...


def draw_samples(
    places: Sequence[SamplePlace],
    benchmarks: Mapping[str, Benchmark],
    *,
    engine: RolloutEngine,
    tokenizer: Decoder,
    grader: Grader,
    spec: EvaluationSpec,
) -> tuple[SampleRecord, ...]:
    """The samples of one batch of the plan, in its order, with text and verdict.

    A sample's seed depends on the spec, the benchmark, the problem and the sample's number alone, so that
    every stage and every job with one spec pairs.
    """
    started = time.perf_counter()
    responses = _generate(places, benchmarks, engine=engine, spec=spec)
    sampling_ms = 1000 * (time.perf_counter() - started)
    texts = [
        tokenizer.decode(list(response.token_ids), skip_special_tokens=True)
        for response in responses
    ]
    verdicts = grader.grade(
        [
            _grading_request(place, benchmarks[place.benchmark], text)
            for place, text in zip(places, texts, strict=True)
        ]
    )
    num_tokens = sum(len(response.token_ids) for response in responses)
    return tuple(
        _sample_record(
            place,
            benchmarks[place.benchmark],
            response,
            text=text,
            verdict=verdict,
            seed=sample_seed(spec, benchmarks[place.benchmark], place),
            sampling_ms=sampling_ms * len(response.token_ids) / num_tokens,
        )
        for place, response, text, verdict in zip(places, responses, texts, verdicts, strict=True)
    )


def summarise(
    benchmark: Benchmark, samples: Iterable[SampleRecord], *, stage: str, spec: EvaluationSpec
) -> EvaluationRecord:
    """The evaluation that all samples of a benchmark make; problems in the benchmark's order."""
    by_position: dict[int, list[SampleRecord]] = defaultdict(list)
    for sample in samples:
        by_position[sample.position].append(sample)
    everything = [sample for samples in by_position.values() for sample in samples]
    return EvaluationRecord(
        benchmark=benchmark.name,
        stage=stage,
        problems_sha256=benchmark.problems_sha256,
        samples_per_problem=benchmark.num_samples,
        k=spec.k,
        profile=spec.profile,
        temperature=spec.temperature,
        top_p=spec.top_p,
        top_k=spec.top_k,
        max_response_tokens=spec.max_response_tokens,
        sampling_sha256=benchmark.sampling_sha256,
        grader=grader_version(),
        seed=spec.seed,
        num_response_tokens=sum(sample.response_tokens for sample in everything),
        seconds=sum(sample.sampling_ms + sample.grading_ms for sample in everything) / 1000,
        problems=tuple(
            _problem_outcome(benchmark, by_position[position])
            for position in range(len(benchmark.prompts))
        ),
    )


def grading_rule(benchmark: BenchmarkSpec) -> Rule:
    """The built-in arithmetic marks its answers with `#### `; every other benchmark boxes them."""
    return Rule.ARITHMETIC if isinstance(benchmark.problems, ArithmeticSource) else Rule.BOXED


def sample_seed(spec: EvaluationSpec, benchmark: Benchmark, place: SamplePlace) -> int:
    problem = benchmark.prompts[place.position].problem
    return derive_seed("evaluation", spec.seed, benchmark.name, problem.id, place.sample_index)


def _generate(
    places: Sequence[SamplePlace],
    benchmarks: Mapping[str, Benchmark],
    *,
    engine: RolloutEngine,
    spec: EvaluationSpec,
) -> list[Response]:
    """Responses in the order of the places; the samples of a problem are one request."""
    requests = [
        RolloutRequest(
            prompt_token_ids=benchmarks[name].prompts[position].token_ids,
            seeds=tuple(sample_seed(spec, benchmarks[name], place) for place in of_problem),
        )
        for (name, position), of_problem in groupby(
            places, key=lambda place: (place.benchmark, place.position)
        )
    ]
    sampling = SamplingParams(
        temperature=spec.temperature,
        top_p=spec.top_p,
        top_k=spec.top_k,
        max_response_tokens=spec.max_response_tokens,
    )
    return [
        response
        for responses in engine.generate(requests, sampling=sampling)
        for response in responses
    ]


def _grading_request(place: SamplePlace, benchmark: Benchmark, text: str) -> GradingRequest:
    gold = benchmark.prompts[place.position].problem.answer
    assert gold is not None, "submission refuses a benchmark without answers"
    return GradingRequest(response=text, gold=gold, rule=grading_rule(benchmark.spec))


def _sample_record(
    place: SamplePlace,
    benchmark: Benchmark,
    response: Response,
    *,
    text: str,
    verdict: Verdict,
    seed: int,
    sampling_ms: float,
) -> SampleRecord:
    prompt = benchmark.prompts[place.position]
    is_cut_off = response.finish_reason is FinishReason.LENGTH
    return SampleRecord(
        benchmark=place.benchmark,
        position=place.position,
        sample_index=place.sample_index,
        problem_id=prompt.problem.id,
        problem_sha256=benchmark.problem_sha256s[place.position],
        seed=seed,
        prompt_tokens=len(prompt.token_ids),
        response_tokens=len(response.token_ids),
        finish_reason=response.finish_reason,
        is_loop=is_cut_off and is_loop(response.token_ids),
        verdict=verdict.outcome,
        layer=verdict.layer,
        extracted=verdict.extracted,
        answer_key=verdict.answer_key,
        sampling_ms=sampling_ms,
        grading_ms=verdict.milliseconds,
        text=text,
    )


def _problem_outcome(benchmark: Benchmark, samples: Sequence[SampleRecord]) -> ProblemOutcome:
    """A sample counts once: as right, else as not decided, cut off, without an answer, or wrong."""
    assert len(samples) == benchmark.num_samples, "a plan is drawn to its end before it is counted"
    num_right = num_timeouts = num_truncated = num_no_answer = 0
    for sample in samples:
        if sample.verdict == Outcome.RIGHT:
            num_right += 1
        elif sample.verdict == Outcome.GRADER_TIMEOUT:
            num_timeouts += 1
        elif sample.finish_reason == FinishReason.LENGTH:
            num_truncated += 1
        elif sample.verdict == Outcome.NO_ANSWER:
            num_no_answer += 1
    return ProblemOutcome(
        problem_id=samples[0].problem_id,
        problem_sha256=samples[0].problem_sha256,
        n=len(samples),
        c=num_right,
        num_no_answer=num_no_answer,
        num_truncated=num_truncated,
        num_grader_timeouts=num_timeouts,
        num_loops=sum(sample.is_loop for sample in samples),
    )
