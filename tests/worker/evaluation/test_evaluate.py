from dataclasses import replace

import pytest

from service.jobs.arithmetic import arithmetic_problems
from service.jobs.spec import (
    ArithmeticSource,
    BenchmarkSpec,
    EvaluationSpec,
    InlineSource,
    Problem,
)
from service.statistics.pass_at_k import pass_at_k
from worker.evaluation.evaluate import evaluate
from worker.rollouts.engine import FinishReason, Response
from worker.rollouts.prompts import Prompt

EOS = 0
SPEC = EvaluationSpec(
    samples_per_problem=8, k=(1, 8), temperature=0.7, top_p=0.95, max_response_tokens=40, seed=5
)


class CodePoints:
    """A tokenizer whose ids are code points; 0 is the one special token."""

    def decode(self, token_ids, *, skip_special_tokens):
        assert skip_special_tokens
        return "".join(chr(token_id) for token_id in token_ids if token_id != EOS)


class ScriptedEngine:
    """Plays texts[request][sample]; those that end in `…` are cut off by the length limit."""

    def __init__(self, texts):
        self.texts = texts
        self.calls = []

    def generate(self, requests, *, sampling):
        self.calls.append((requests, sampling))
        return [[_response(text) for text in texts] for texts in self.texts]


def _response(text):
    if text.endswith("…"):
        return Response(tuple(map(ord, text[:-1])), FinishReason.LENGTH)
    return Response((*map(ord, text), EOS), FinishReason.STOP)


def as_prompts(problems):
    return [Prompt(problem, tuple(map(ord, problem.problem))) for problem in problems]


def run(benchmark, problems, texts, **changes):
    engine = ScriptedEngine(texts)
    arguments = {"stage": "baseline", "problems_sha256": "ab", "spec": SPEC} | changes
    record = evaluate(
        benchmark, as_prompts(problems), engine=engine, tokenizer=CodePoints(), **arguments
    )
    return record, engine


ARITHMETIC = BenchmarkSpec(name="arithmetic", problems=ArithmeticSource(num_problems=9, seed=3))
PROBLEMS = arithmetic_problems(ARITHMETIC.problems, split="held-out")


def right_in_the_first(num_right, problem):
    """8 responses: `num_right` right ones, then wrong ones."""
    return [f"#### {problem.answer}"] * num_right + ["#### 12345"] * (8 - num_right)


def test_problem_i_of_nine_with_i_right_samples_gives_the_closed_form_pass_at_k():
    texts = [right_in_the_first(i, problem) for i, problem in enumerate(PROBLEMS)]
    record, _ = run(ARITHMETIC, PROBLEMS, texts)

    assert [(outcome.n, outcome.c) for outcome in record.problems] == [(8, i) for i in range(9)]
    assert [outcome.problem_id for outcome in record.problems] == [p.id for p in PROBLEMS]
    # pass@1: mean of 0/8 … 8/8 is 1/2; pass@8: 8 of the 9 problems have a right sample.
    mean_pass_at = [
        sum(pass_at_k(outcome.n, outcome.c, k) for outcome in record.problems) / 9 for k in record.k
    ]
    assert mean_pass_at == pytest.approx([1 / 2, 8 / 9])


def test_every_sample_is_right_or_cut_off_or_without_an_answer_or_wrong():
    gold = PROBLEMS[0].answer
    texts = [
        [
            f"#### {gold}",
            f"#### {gold}…",  # right although it was cut off
            "#### 12…",
            "a2+4=6\nb6…",
            "a2+4=6\nb6",
            "",
            "#### 12345",
            "#### 12345",
        ]
    ]
    record, _ = run(ARITHMETIC, PROBLEMS[:1], texts)
    (outcome,) = record.problems
    assert (outcome.n, outcome.c) == (8, 2)
    assert (outcome.num_truncated, outcome.num_no_answer) == (2, 2)


def test_response_tokens_are_counted_with_their_end_token():
    record, _ = run(ARITHMETIC, PROBLEMS[:1], [["abc", "abcd…"]])
    assert record.num_response_tokens == (3 + 1) + 4


def test_other_benchmarks_are_graded_by_their_boxes():
    problems = (Problem(id="p", problem="Half of one?", answer=r"\frac{1}{2}"),)
    benchmark = BenchmarkSpec(name="halves", problems=InlineSource(problems=problems))
    record, _ = run(benchmark, problems, [[r"\boxed{0.5}", r"\boxed{2}", "#### 0.5"]])
    (outcome,) = record.problems
    assert (outcome.n, outcome.c, outcome.num_no_answer) == (3, 1, 1)


def test_the_engine_is_asked_once_with_the_sampling_of_the_spec_and_a_seed_for_every_sample():
    _, engine = run(ARITHMETIC, PROBLEMS, [["#### 1"] * 8] * 9)
    ((requests, sampling),) = engine.calls
    assert (sampling.temperature, sampling.top_p, sampling.max_response_tokens) == (0.7, 0.95, 40)
    assert [request.prompt_token_ids for request in requests] == [
        prompt.token_ids for prompt in as_prompts(PROBLEMS)
    ]
    seeds = [seed for request in requests for seed in request.seeds]
    assert len(set(seeds)) == 9 * 8


def test_seeds_pair_stages_and_subsets_and_differ_between_benchmarks_and_spec_seeds():
    texts = [["#### 1"] * 8] * 9

    def seeds(benchmark=ARITHMETIC, problems=PROBLEMS, **changes):
        _, engine = run(benchmark, problems, texts[: len(problems)], **changes)
        return [request.seeds for request in engine.calls[0][0]]

    baseline = seeds()
    assert seeds(stage="final") == baseline
    assert seeds(problems=PROBLEMS[4:6]) == baseline[4:6]
    other_name = ARITHMETIC.model_copy(update={"name": "other"})
    assert not set(seeds(benchmark=other_name)) & set(baseline)
    assert not set(seeds(spec=SPEC.model_copy(update={"seed": 6}))) & set(baseline)


def test_the_record_carries_what_the_numbers_depend_on():
    record, _ = run(ARITHMETIC, PROBLEMS[:1], [["#### 1"] * 8], stage="teacher")
    assert replace(record, seconds=0.0, problems=(), num_response_tokens=0) == replace(
        record,
        benchmark="arithmetic",
        stage="teacher",
        problems_sha256="ab",
        samples_per_problem=8,
        k=(1, 8),
        temperature=0.7,
        top_p=0.95,
        max_response_tokens=40,
        seed=5,
        seconds=0.0,
        problems=(),
        num_response_tokens=0,
    )
    assert record.seconds > 0


def test_progress_counts_the_problems_that_are_graded():
    seen = []
    texts = [["#### 1"]] * 9
    run(ARITHMETIC, PROBLEMS, texts, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 9) for done in range(1, 10)]


def test_a_problem_without_an_answer_is_refused():
    unanswered = PROBLEMS[0].model_copy(update={"answer": None})
    with pytest.raises(ValueError, match="no answer to grade"):
        run(ARITHMETIC, [unanswered], [["#### 1"]])
