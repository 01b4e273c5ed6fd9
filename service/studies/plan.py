"""What a study would cost and what it could tell, said before anything runs."""

from collections.abc import Iterable, Mapping, Sequence

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.plans import Plan
from service.jobs.studies import PlannedArm, PlannedResolution, StudyPlan
from service.jobs.study_spec import REVERSE_KL, StudySpec
from service.statistics.power import SIGNIFICANCE
from service.statistics.study_permutation import smallest_paired_p_value
from service.statistics.study_power import (
    half_width,
    min_paired_seeds,
    seeds_needed,
    smallest_detectable,
)
from service.studies.comparisons import exploratory_comparisons


def make_study_plan(spec: StudySpec, plans: Mapping[str, Plan]) -> StudyPlan:
    """plans: of one job of each arm. Raises INVALID_SPEC where the jobs may take more than the budget."""
    arms = [_planned(name, plan) for name, plan in plans.items()]
    num_seeds = len(spec.seeds)
    tokens = _total([arm.tokens for arm in arms], num_seeds)
    _check_budget(spec, tokens)
    flops = _total([arm.flops for arm in arms], num_seeds)
    seconds = _total([arm.seconds for arm in arms], num_seeds)
    num_jobs = len(spec.arms) * num_seeds
    return StudyPlan(
        spec=spec,
        num_jobs=num_jobs,
        arms=tuple(arms),
        tokens=None if tokens is None else round(tokens),
        flops=None if flops is None else round(flops),
        seconds=seconds,
        seconds_side_by_side=None
        if seconds is None
        else seconds / min(spec.max_active_jobs, num_jobs),
        resolution=tuple(
            _resolution(metric, spec) for metric in spec.metrics if metric != REVERSE_KL
        ),
        notes=tuple(_notes(spec)),
    )


def _planned(name: str, plan: Plan) -> PlannedArm:
    total = plan.job.total if plan.job is not None else None
    return PlannedArm(
        arm=name,
        tokens=None if total is None else total.tokens,
        flops=None if total is None else total.flops,
        seconds=None if plan.time is None else plan.time.total_seconds,
        warnings=plan.warnings,
    )


def _total(of_arms: Sequence[float | None], num_seeds: int) -> float | None:
    known = [value for value in of_arms if value is not None]
    return num_seeds * sum(known) if len(known) == len(of_arms) else None


def _check_budget(spec: StudySpec, tokens: float | None) -> None:
    budget = spec.budget_tokens
    if budget is None:
        return
    size = f"{len(spec.arms)} arms × {len(spec.seeds)} seeds"
    if tokens is None:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"budget_tokens is {budget:,}, but what {size} take cannot be told before they run: the plan of one of "
            "the arms says why. Leave the budget out.",
            [Violation("budget_tokens", f"{budget:,}", "null, where the plan is not known")],
        )
    if tokens > budget:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"budget_tokens is {budget:,}, but {size} may take {round(tokens):,} tokens. Raise the budget, or run "
            "fewer arms, seeds or steps.",
            [Violation("budget_tokens", f"{budget:,}", f"at least {round(tokens):,}")],
        )


def _resolution(metric: str, spec: StudySpec) -> PlannedResolution:
    """Of the contrast in its metric, of one of the exploratory comparisons, judged after Holm, in the others.

    Two arms that share a seed share no noise to speak of: their variances add up.
    """
    level = SIGNIFICANCE if metric == spec.contrast.metric else _exploratory_level(spec)
    num_seeds = len(spec.seeds)
    sd_of_difference = 2**0.5 * spec.assumed_seed_sd
    smallest_p_value = smallest_paired_p_value(num_seeds)
    asked = spec.smallest_difference
    return PlannedResolution(
        metric=metric,
        smallest_p_value=smallest_p_value,
        can_resolve=smallest_p_value <= level,
        smallest_detectable_difference=smallest_detectable(
            sd_of_difference, num_seeds, level=level
        ),
        expected_half_width=half_width(sd_of_difference, num_seeds),
        seeds_needed=None if asked is None else seeds_needed(sd_of_difference, asked, level=level),
    )


def _exploratory_level(spec: StudySpec) -> float:
    """What a p-value has to get down to at Holm's first step, where there is any exploratory comparison."""
    return SIGNIFICANCE / max(1, len(exploratory_comparisons(spec)))


def _notes(spec: StudySpec) -> Iterable[str]:
    num_seeds = len(spec.seeds)
    yield (
        f"Assumed: a standard deviation of {spec.assumed_seed_sd:g} between runs of one arm, and no more in common "
        "between two arms of one seed than of two. The verdict uses what is measured."
    )
    if num_seeds < min_paired_seeds():
        yield (
            f"{num_seeds} seeds cannot resolve anything at 5 %: no p-value of theirs is below "
            f"{smallest_paired_p_value(num_seeds):g}; at least {min_paired_seeds()} paired seeds."
        )
    elif num_seeds < min_paired_seeds(_exploratory_level(spec)):
        yield (
            f"{num_seeds} seeds can resolve the registered contrast, but none of the "
            f"{len(exploratory_comparisons(spec))} exploratory comparisons at 5 % after Holm: at least "
            f"{min_paired_seeds(_exploratory_level(spec))} paired seeds."
        )
    if len(spec.arms) > 2:
        yield (
            f"One comparison is registered: {spec.contrast.arm} minus {spec.contrast_minus} in {spec.contrast.metric}. "
            "All others are exploratory, and their p-values are adjusted after Holm."
        )
