"""Jobs side by side: paired where they answered the same problems in the same way, else the reason why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.jobs import stages
from service.jobs.comparisons import (
    ComparedJob,
    ComparedPair,
    Comparison,
    PairedFigures,
    PlannedBenchmark,
    SamplePlan,
    SpecDifference,
)
from service.jobs.results import Job
from service.statistics.comparison import PairComparison, RunComparison, compare_runs
from service.statistics.estimates import pass_estimate
from service.statistics.holm import holm
from service.statistics.planner import Pilot, plan_samples, resolvable_difference
from service.storage.evaluation_counts import CountedEvaluation

NOTE = "One run of each job: training-seed variance not included."
# Of a job that has several, the first of these is compared.
PREFERRED_STAGES = (stages.FINAL, stages.MODEL, stages.TEACHER, stages.BASELINE)
# What has to be the same in two evaluations, and how it is called in a reason.
CONDITIONS = {
    "problems_sha256": "The problems",
    "sampling_sha256": "What was sampled from",
    "grader": "The graders",
}
UNCOMPARED_FIELDS = frozenset({"name"})

ByBenchmark = Mapping[str, CountedEvaluation]


@dataclass(frozen=True, slots=True)
class _Pairing:
    """The benchmarks of both jobs by name, and their comparison, or why there is none."""

    benchmarks: tuple[str, ...]
    reasons: tuple[str, ...]
    comparison: RunComparison | None


def compare(
    jobs: Sequence[Job],
    evaluations: Sequence[Sequence[CountedEvaluation]],
    *,
    k: int,
    stage: str | None,
) -> Comparison:
    """The jobs against the first, by the evaluations of each.

    stage: of all of them; where None, the final one of each, or the only one.
    """
    chosen = [stage or _preferred_stage(one) for one in evaluations]
    at_stages = [_at_stage(one, at) for one, at in zip(evaluations, chosen, strict=True)]
    pairings = [_pairing(at_stages[0], other, k=k) for other in at_stages[1:]]
    return Comparison(
        k=k,
        reference_job_id=jobs[0].id,
        jobs=tuple(
            _compared_job(job, at, found, k=k)
            for job, at, found in zip(jobs, chosen, at_stages, strict=True)
        ),
        pairs=tuple(_pairs(jobs[1:], pairings)),
        spec_differences=tuple(_spec_differences(jobs)),
        note=NOTE,
    )


def plan_more_samples(
    job: Job,
    evaluations: Sequence[CountedEvaluation],
    *,
    k: int,
    stage: str | None,
    difference: float,
    power: float,
) -> SamplePlan | None:
    """From the job's own samples; None where it has no evaluation of the stage."""
    at = stage or _preferred_stage(evaluations)
    found = _at_stage(evaluations, at)
    if at is None or not found:
        return None
    pilots = [
        Pilot(name, one.counts, tokens_per_sample=max(one.mean_response_tokens, 1.0))
        for name, one in found.items()
    ]
    plan = plan_samples(pilots, k, target_difference=difference, power=power)
    samples_now = [one.samples_per_problem for one in found.values()]
    now = (
        resolvable_difference(pilots, k, samples_per_problem=samples_now, power=power)
        if min(samples_now) >= k
        else None
    )
    return SamplePlan(
        job_id=job.id,
        stage=at,
        k=k,
        difference=difference,
        power=power,
        reaches_difference=plan.reaches_target,
        smallest_resolvable_difference=plan.smallest_resolvable_difference,
        smallest_resolvable_difference_now=now and now.smallest_resolvable_difference,
        benchmarks=tuple(
            PlannedBenchmark(
                benchmark=one.benchmark,
                samples_per_problem=one.samples_per_problem,
                tokens=round(one.cost_tokens),
                share_of_variance=one.variance_share,
            )
            for one in plan.benchmarks
        ),
        tokens=round(plan.cost_tokens),
    )


def _preferred_stage(evaluations: Sequence[CountedEvaluation]) -> str | None:
    found = {one.stage for one in evaluations}
    return next((stage for stage in PREFERRED_STAGES if stage in found), None)


def _at_stage(evaluations: Sequence[CountedEvaluation], stage: str | None) -> ByBenchmark:
    return {one.benchmark: one for one in evaluations if one.stage == stage}


def _compared_job(job: Job, stage: str | None, found: ByBenchmark, *, k: int) -> ComparedJob:
    return ComparedJob(
        job_id=job.id,
        name=job.name,
        stage=stage if found else None,
        pass_at_k={
            name: pass_estimate(one.counts, k)
            for name, one in found.items()
            if one.samples_per_problem >= k
        },
    )


def _pairing(reference: ByBenchmark, other: ByBenchmark, *, k: int) -> _Pairing:
    common = tuple(sorted(reference.keys() & other.keys()))
    reasons = tuple(
        reason for name in common for reason in _reasons(reference[name], other[name], k=k)
    )
    if not common:
        reasons = ("No benchmark was evaluated for both at this stage.",)
    if reasons:
        return _Pairing(common, reasons, None)
    first, second = ([found[name].counts for name in common] for found in (reference, other))
    return _Pairing(common, (), compare_runs(first, second, k))


def _reasons(reference: CountedEvaluation, other: CountedEvaluation, *, k: int) -> Iterator[str]:
    for field, what in CONDITIONS.items():
        if getattr(reference, field) != getattr(other, field):
            yield f"{what} differ on {reference.benchmark} ({field})."
    fewest = min(reference.samples_per_problem, other.samples_per_problem)
    if fewest < k:
        yield f"A problem of {reference.benchmark} has {fewest} samples, but pass@{k} needs {k}."


def _pairs(jobs: Sequence[Job], pairings: Sequence[_Pairing]) -> Iterator[ComparedPair]:
    """p-values are adjusted once over all means, and once over all benchmarks of all pairs."""
    found = [one.comparison for one in pairings if one.comparison is not None]
    of_means = iter(holm([one.mean.p_value for one in found]))
    of_benchmarks = iter(holm([each.p_value for one in found for each in one.benchmarks]))
    for job, pairing in zip(jobs, pairings, strict=True):
        comparison = pairing.comparison
        if comparison is None:
            yield ComparedPair(
                job_id=job.id, comparable=False, reasons=pairing.reasons, benchmarks={}, mean=None
            )
            continue
        yield ComparedPair(
            job_id=job.id,
            comparable=True,
            reasons=(),
            benchmarks={
                name: _figures(each, adjusted_p_value=next(of_benchmarks))
                for name, each in zip(pairing.benchmarks, comparison.benchmarks, strict=True)
            },
            mean=_figures(comparison.mean, adjusted_p_value=next(of_means)),
        )


def _figures(comparison: PairComparison, *, adjusted_p_value: float) -> PairedFigures:
    return PairedFigures(
        difference=comparison.difference,
        p_value=comparison.p_value,
        adjusted_p_value=adjusted_p_value,
        wins=comparison.num_wins,
        losses=comparison.num_losses,
        ties=comparison.num_ties,
        smallest_resolvable_difference=comparison.smallest_resolvable_difference,
    )


def _spec_differences(jobs: Sequence[Job]) -> Iterator[SpecDifference]:
    flat = [dict(_leaves(job.spec.model_dump(mode="json"))) for job in jobs]
    fields = dict.fromkeys(field for one in flat for field in one)
    for field in fields:
        values = tuple(one.get(field) for one in flat)
        if field not in UNCOMPARED_FIELDS and any(value != values[0] for value in values):
            yield SpecDifference(field=field, values=values)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value under its dotted path; a list is one value."""
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else key)
