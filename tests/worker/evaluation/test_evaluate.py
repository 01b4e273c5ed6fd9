import pytest

from service.jobs.arithmetic import arithmetic_problems
from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec
from service.jobs.problem_sources import ArithmeticSource, InlineSource, Problem
from service.jobs.problem_text import problem_sha256
from service.statistics.pass_at_k import pass_at_k
from worker.evaluation.evaluate import draw_samples, summarise
from worker.evaluation.grader import Grader, grader_version
from worker.evaluation.plan import Benchmark, plan_batches
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
    """Plays texts[prompt] in order, whatever the batch; those that end in `…` are cut off by the limit."""

    def __init__(self, texts):
        self.texts = {prompt: iter(of_prompt) for prompt, of_prompt in texts.items()}
        self.calls = []

    def generate(self, requests, *, sampling):
        self.calls.append((requests, sampling))
        return [
            [_response(next(self.texts[request.prompt_token_ids])) for _ in request.seeds]
            for request in requests
        ]


def _response(text):
    if text.endswith("…"):
        return Response(tuple(map(ord, text[:-1])), FinishReason.LENGTH)
    return Response((*map(ord, text), EOS), FinishReason.STOP)


def as_benchmark(spec, problems, *, num_samples=8):
    return Benchmark(
        spec=spec,
        prompts=tuple(Prompt(problem, tuple(map(ord, problem.problem))) for problem in problems),
        problem_sha256s=tuple(map(problem_sha256, problems)),
        problems_sha256="ab",
        sampling_sha256="cd",
        num_samples=num_samples,
    )


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        yield grader


@pytest.fixture
def run(grader):
    """Draws the whole plan of one benchmark from a script; its samples, its summary and the engine."""

    def draw(spec, problems, texts, *, stage="baseline", evaluation=SPEC, batch_size=512):
        benchmark = as_benchmark(spec, problems, num_samples=len(texts[0]))
        prompts = [prompt.token_ids for prompt in benchmark.prompts]
        engine = ScriptedEngine(dict(zip(prompts, texts, strict=True)))
        samples = [
            sample
            for batch in plan_batches([benchmark], batch_size=batch_size)
            for sample in draw_samples(
                batch,
                {benchmark.name: benchmark},
                engine=engine,
                tokenizer=CodePoints(),
                grader=grader,
                spec=evaluation,
            )
        ]
        return samples, summarise(benchmark, samples, stage=stage, spec=evaluation), engine

    return draw


ARITHMETIC = BenchmarkSpec(name="arithmetic", problems=ArithmeticSource(num_problems=9, seed=3))
PROBLEMS = arithmetic_problems(ARITHMETIC.problems, split="held-out")


def right_in_the_first(num_right, problem):
    """8 responses: `num_right` right ones, then wrong ones."""
    return [f"#### {problem.answer}"] * num_right + ["#### 12345"] * (8 - num_right)


@pytest.mark.parametrize("batch_size", [512, 5])
def test_problem_i_of_nine_with_i_right_samples_gives_the_closed_form_pass_at_k(run, batch_size):
    texts = [right_in_the_first(i, problem) for i, problem in enumerate(PROBLEMS)]
    _, record, _ = run(ARITHMETIC, PROBLEMS, texts, batch_size=batch_size)

    assert [(outcome.n, outcome.c) for outcome in record.problems] == [(8, i) for i in range(9)]
    assert [outcome.problem_id for outcome in record.problems] == [p.id for p in PROBLEMS]
    # pass@1: mean of 0/8 … 8/8 is 1/2; pass@8: 8 of the 9 problems have a right sample.
    mean_pass_at = [
        sum(pass_at_k(outcome.n, outcome.c, k) for outcome in record.problems) / 9 for k in record.k
    ]
    assert mean_pass_at == pytest.approx([1 / 2, 8 / 9])


def test_every_sample_is_right_or_cut_off_or_without_an_answer_or_wrong(run):
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
    _, record, _ = run(ARITHMETIC, PROBLEMS[:1], texts)
    (outcome,) = record.problems
    assert (outcome.n, outcome.c) == (8, 2)
    assert (outcome.num_truncated, outcome.num_no_answer) == (2, 2)
    assert (outcome.num_loops, outcome.num_grader_timeouts) == (0, 0)


def test_a_response_that_is_cut_off_while_it_repeats_itself_is_a_loop(run):
    samples, record, _ = run(ARITHMETIC, PROBLEMS[:1], [["no" * 60 + "…", "no" * 60]])
    assert [sample.is_loop for sample in samples] == [True, False]
    assert record.problems[0].num_loops == 1


def test_a_sample_carries_how_it_was_drawn_and_how_it_was_graded(run):
    gold = PROBLEMS[0].answer
    (right, cut), record, _ = run(ARITHMETIC, PROBLEMS[:1], [[f"#### {gold}", "abcd…"]])
    assert (right.verdict, right.extracted, right.text) == ("right", gold, f"#### {gold}")
    assert (right.layer, right.finish_reason) == ("string", "stop")
    assert (cut.verdict, cut.extracted, cut.finish_reason) == ("no_answer", None, "length")
    assert (right.prompt_tokens, right.response_tokens) == (len(PROBLEMS[0].problem), 5 + 4 + 1)
    assert right.problem_sha256 == problem_sha256(PROBLEMS[0])
    assert record.num_response_tokens == (5 + 4 + 1) + 4
    assert record.seconds > 0


def test_other_benchmarks_are_graded_by_their_boxes(run):
    problems = (Problem(id="p", problem="Half of one?", answer=r"\frac{1}{2}"),)
    benchmark = BenchmarkSpec(name="halves", problems=InlineSource(problems=problems))
    _, record, _ = run(benchmark, problems, [[r"\boxed{0.5}", r"\boxed{2}", "#### 0.5"]])
    (outcome,) = record.problems
    assert (outcome.n, outcome.c, outcome.num_no_answer) == (3, 1, 1)


def test_the_engine_is_asked_with_the_sampling_of_the_spec_and_a_seed_for_every_sample(run):
    evaluation = SPEC.model_copy(update={"top_k": 3})
    _, _, engine = run(ARITHMETIC, PROBLEMS, [["#### 1"] * 8] * 9, evaluation=evaluation)
    ((requests, sampling),) = engine.calls
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.7, 0.95, 3)
    assert sampling.max_response_tokens == 40
    assert len(requests) == 9
    seeds = [seed for request in requests for seed in request.seeds]
    assert len(set(seeds)) == 9 * 8


def test_seeds_pair_stages_subsets_and_batches_and_differ_between_benchmarks_and_spec_seeds(run):
    texts = [["#### 1"] * 8] * 9

    def seeds(benchmark=ARITHMETIC, problems=PROBLEMS, **changes):
        samples, _, _ = run(benchmark, problems, texts[: len(problems)], **changes)
        return {(sample.problem_id, sample.sample_index): sample.seed for sample in samples}

    baseline = seeds()
    assert seeds(stage="final", batch_size=7) == baseline
    assert seeds(problems=PROBLEMS[4:6]).items() <= baseline.items()
    other_name = ARITHMETIC.model_copy(update={"name": "other"})
    assert not set(seeds(benchmark=other_name).values()) & set(baseline.values())
    other_seed = SPEC.model_copy(update={"seed": 6})
    assert not set(seeds(evaluation=other_seed).values()) & set(baseline.values())


def test_the_record_carries_what_the_numbers_depend_on(run):
    _, record, _ = run(ARITHMETIC, PROBLEMS[:1], [["#### 1"] * 8], stage="teacher")
    assert (record.benchmark, record.stage, record.samples_per_problem) == (
        "arithmetic",
        "teacher",
        8,
    )
    assert (record.profile, record.temperature, record.top_p) == ("custom", 0.7, 0.95)
    assert (record.top_k, record.max_response_tokens, record.seed) == (None, 40, 5)
    assert (record.problems_sha256, record.sampling_sha256) == ("ab", "cd")
    assert record.grader == grader_version()
