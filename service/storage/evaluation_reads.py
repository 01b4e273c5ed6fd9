"""Evaluations as clients read them: estimates and intervals, computed from the samples that were kept."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.jobs import stages
from service.jobs.results import (
    BenchmarkDifference,
    BenchmarkResult,
    BudgetScore,
    Estimate,
    JobResults,
    OverlapExample,
    ProblemCount,
    PromptOverlap,
    StageMean,
)
from service.statistics.budgets import BudgetSample, scores_by_budget
from service.statistics.comparison import paired_estimate
from service.statistics.counts import Counts
from service.statistics.estimates import mean_pass_estimate, pass_estimate
from service.statistics.majority import Vote, majority_estimate
from service.storage.result_reads import effective_evaluations
from service.storage.reverse_kls import read_reverse_kls
from service.storage.sample_store import sample_rows
from service.storage.tables import (
    EvaluationProblemRow,
    EvaluationRow,
    EvaluationSampleRow,
    PromptOverlapRow,
)

NOTE = "One run per job: training-seed variance not included."

StageAndBenchmark = tuple[str, str]


def read_results(session: Session, job_id: str, *, include_problems: bool) -> JobResults:
    rows = effective_evaluations(session, job_id)
    problems = _problems(session, job_id)
    samples = _samples(session, job_id)
    evaluations = [
        _benchmark_result(
            row,
            problems[row.stage, row.benchmark, row.epoch],
            samples.get((row.stage, row.benchmark), []),
        )
        for row in sorted(rows, key=lambda row: (stages.order_of(row.stage), row.benchmark))
    ]
    return JobResults(
        job_id=job_id,
        evaluations=tuple(
            result if include_problems else result.model_copy(update={"problems": ()})
            for result in evaluations
        ),
        means=_means(evaluations),
        differences=_differences(evaluations),
        prompt_overlaps=_prompt_overlaps(session, job_id),
        reverse_kls=read_reverse_kls(session, job_id),
        note=NOTE,
    )


def counts_of(result: BenchmarkResult) -> Counts:
    """n and c of its problems, which it must hold."""
    return Counts(
        n=tuple(problem.n for problem in result.problems),
        c=tuple(problem.c for problem in result.problems),
    )


def _problems(session: Session, job_id: str) -> dict[tuple[str, str, int], list[ProblemCount]]:
    rows = session.scalars(
        select(EvaluationProblemRow)
        .where(EvaluationProblemRow.job_id == job_id)
        .order_by(
            EvaluationProblemRow.stage,
            EvaluationProblemRow.benchmark,
            EvaluationProblemRow.epoch,
            EvaluationProblemRow.position,
        )
    )
    return {
        key: [
            ProblemCount(**{name: getattr(row, name) for name in ProblemCount.model_fields})
            for row in group
        ]
        for key, group in groupby(rows, key=lambda row: (row.stage, row.benchmark, row.epoch))
    }


def _samples(
    session: Session, job_id: str
) -> Mapping[StageAndBenchmark, list[list[EvaluationSampleRow]]]:
    """By stage and benchmark, then by problem, in order."""
    grouped: dict[StageAndBenchmark, list[list[EvaluationSampleRow]]] = defaultdict(list)
    rows = sample_rows(session, job_id)
    for (stage, benchmark, _), group in groupby(
        rows, key=lambda row: (row.stage, row.benchmark, row.position)
    ):
        grouped[stage, benchmark].append(list(group))
    return grouped


def _benchmark_result(
    row: EvaluationRow,
    problems: Sequence[ProblemCount],
    samples: Sequence[Sequence[EvaluationSampleRow]],
) -> BenchmarkResult:
    num_samples = sum(problem.n for problem in problems)
    counts = Counts(n=tuple(p.n for p in problems), c=tuple(p.c for p in problems))
    ks = tuple(row.k)
    drawn = [sample for of_problem in samples for sample in of_problem]

    def share(numbers: Iterable[int]) -> float:
        return sum(numbers) / num_samples

    return BenchmarkResult(
        benchmark=row.benchmark,
        stage=row.stage,
        attempt=row.epoch,
        problems_sha256=row.problems_sha256,
        num_problems=len(problems),
        samples_per_problem=row.samples_per_problem,
        profile=row.profile,
        temperature=row.temperature,
        top_p=row.top_p,
        top_k=row.top_k,
        max_response_tokens=row.max_response_tokens,
        sampling_sha256=row.sampling_sha256,
        grader=row.grader,
        seed=row.seed,
        pass_at={str(k): _pass_estimate(counts, k) for k in ks},
        maj_at=_majorities(samples, ks),
        token_budgets=_budget_scores(samples, ks, limit=row.max_response_tokens),
        fraction_no_answer=share(problem.num_no_answer for problem in problems),
        fraction_truncated=share(problem.num_truncated for problem in problems),
        fraction_loops=share(sample.is_loop for sample in drawn),
        fraction_grader_timeouts=share(problem.num_grader_timeouts for problem in problems),
        mean_response_tokens=row.num_response_tokens / num_samples,
        num_response_tokens=row.num_response_tokens,
        seconds=row.seconds,
        problems=tuple(problems),
    )


def _majorities(
    samples: Sequence[Sequence[EvaluationSampleRow]], ks: Sequence[int]
) -> dict[str, Estimate]:
    """Of every k but 1, where a vote is no vote; empty for evaluations whose samples were not kept."""
    votes = tuple(
        tuple(Vote(sample.answer_key, sample.verdict == "right") for sample in of_problem)
        for of_problem in samples
    )
    return {str(k): _majority_estimate(votes, k) for k in ks if k > 1 and votes}


def _budget_scores(
    samples: Sequence[Sequence[EvaluationSampleRow]], ks: Sequence[int], *, limit: int
) -> tuple[BudgetScore, ...]:
    drawn = tuple(
        tuple(
            BudgetSample(
                sample.response_tokens,
                is_right=sample.verdict == "right",
                is_truncated=sample.finish_reason == "length",
            )
            for sample in of_problem
        )
        for of_problem in samples
    )
    return _scores_by_budget(drawn, tuple(ks), limit) if drawn else ()


def _means(evaluations: Sequence[BenchmarkResult]) -> tuple[StageMean, ...]:
    """Of every stage with several benchmarks."""
    by_stage = groupby(evaluations, key=lambda result: result.stage)
    groups = [(stage, list(results)) for stage, results in by_stage]
    return tuple(
        StageMean(
            stage=stage,
            benchmarks=tuple(result.benchmark for result in results),
            pass_at={
                k: _mean_pass_estimate(tuple(map(counts_of, results)), int(k))
                for k in results[0].pass_at
            },
        )
        for stage, results in groups
        if len(results) > 1
    )


def _differences(evaluations: Sequence[BenchmarkResult]) -> tuple[BenchmarkDifference, ...]:
    """Final minus baseline, wherever both stand and were asked the same problems."""
    found = {(result.stage, result.benchmark): result for result in evaluations}
    pairs = [
        (found[stages.BASELINE, final.benchmark], final)
        for (stage, benchmark), final in found.items()
        if stage == stages.FINAL and (stages.BASELINE, benchmark) in found
    ]
    return tuple(
        BenchmarkDifference(
            benchmark=final.benchmark,
            pass_at={
                k: _paired_estimate(counts_of(baseline), counts_of(final), int(k))
                for k in final.pass_at
            },
        )
        for baseline, final in pairs
        if baseline.problems_sha256 == final.problems_sha256
    )


def _prompt_overlaps(session: Session, job_id: str) -> tuple[PromptOverlap, ...]:
    """As the newest attempt found it."""
    rows = session.scalars(
        select(PromptOverlapRow)
        .where(PromptOverlapRow.job_id == job_id)
        .order_by(PromptOverlapRow.epoch)
    )
    newest = {row.benchmark: row for row in rows}
    return tuple(
        PromptOverlap(
            benchmark=row.benchmark,
            num_prompts=row.num_prompts,
            num_overlapping=row.num_overlapping,
            num_dropped=row.num_dropped,
            examples=tuple(
                OverlapExample(prompt_id=prompt_id, problem_id=problem_id, share=share)
                for prompt_id, problem_id, share in row.examples
            ),
        )
        for row in newest.values()
    )


# A page that is refreshed asks for the same intervals again and again; they never change.
_pass_estimate = lru_cache(maxsize=512)(pass_estimate)
_mean_pass_estimate = lru_cache(maxsize=128)(mean_pass_estimate)
_paired_estimate = lru_cache(maxsize=512)(paired_estimate)
_majority_estimate = lru_cache(maxsize=128)(majority_estimate)
_scores_by_budget = lru_cache(maxsize=128)(scores_by_budget)
