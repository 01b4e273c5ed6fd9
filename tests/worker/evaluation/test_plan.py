from hypothesis import given
from hypothesis import strategies as st

from service.jobs.evaluation_spec import BenchmarkSpec
from service.jobs.problem_sources import InlineSource, Problem
from service.jobs.problem_text import problem_sha256
from worker.evaluation.plan import Benchmark, plan_batches
from worker.rollouts.prompts import Prompt


def benchmark_of(name, lengths, *, num_samples):
    """One problem of each length in tokens."""
    problems = tuple(
        Problem(id=f"{name}-{i}", problem=f"problem {i}", answer="1") for i in range(len(lengths))
    )
    return Benchmark(
        spec=BenchmarkSpec(name=name, problems=InlineSource(problems=problems)),
        prompts=tuple(
            Prompt(problem, tuple(range(length)))
            for problem, length in zip(problems, lengths, strict=True)
        ),
        problem_sha256s=tuple(map(problem_sha256, problems)),
        problems_sha256="",
        sampling_sha256="",
        num_samples=num_samples,
    )


def test_the_longest_expected_come_first_and_samples_of_a_problem_stand_together():
    benchmarks = [
        benchmark_of("mine", [5, 9], num_samples=2),
        benchmark_of("aime24", [4], num_samples=3),
    ]
    (first, second) = plan_batches(benchmarks, batch_size=5)
    # AIME counts three times: 12, then 9, then 5.
    assert [(place.benchmark, place.position, place.sample_index) for place in first] == [
        ("aime24", 0, 0),
        ("aime24", 0, 1),
        ("aime24", 0, 2),
        ("mine", 1, 0),
        ("mine", 1, 1),
    ]
    assert [(place.position, place.sample_index) for place in second] == [(0, 0), (0, 1)]


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 20),
)
def test_every_sample_is_in_one_batch_and_only_the_last_batch_is_short(
    lengths_by_benchmark, num_samples, batch_size
):
    benchmarks = [
        benchmark_of(f"b{index}", lengths, num_samples=num_samples)
        for index, lengths in enumerate(lengths_by_benchmark)
    ]
    batches = plan_batches(benchmarks, batch_size=batch_size)
    places = [place for batch in batches for place in batch]
    assert len(places) == len(set(places)) == num_samples * sum(map(len, lengths_by_benchmark))
    assert all(len(batch) == batch_size for batch in batches[:-1])
