"""What a study found: its arms over their seeds, the registered contrast, and all other differences, adjusted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from service.jobs.studies import ENDED_STUDY_STATES, PENDING, Study
from service.jobs.study_spec import REVERSE_KL, StudySpec
from service.jobs.study_verdicts import (
    ArmFigures,
    ArmVerdict,
    StudyDifference,
    StudyVerdict,
    VarianceParts,
)
from service.statistics.holm import holm
from service.statistics.power import SIGNIFICANCE
from service.statistics.study_comparison import (
    SeedDifference,
    paired_difference,
    seed_spread,
    unpaired_difference,
)
from service.statistics.study_components import Components, difference_components, run_components
from service.statistics.study_power import min_paired_seeds, seeds_needed, smallest_detectable
from service.storage.study_rows import RunRow, is_active
from service.storage.study_scores import RunScores
from service.studies.comparisons import (
    Compared,
    exploratory_comparisons,
    registered_comparison,
)
from service.studies.readings import reading_of
from service.studies.scored_arms import ScoredArms, column, k_of, score_arms


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is held against 5 %.

    p_value, smallest_p_value: of the exploratory comparisons both after Holm, over all `num_comparisons` of them.
    level: what a p-value before any adjustment has to get down to at Holm's first step.
    """

    p_value: float
    smallest_p_value: float
    num_comparisons: int

    @property
    def level(self) -> float:
        return SIGNIFICANCE / self.num_comparisons


def make_verdict(
    study: Study, runs: Sequence[RunRow], scores: Mapping[str, RunScores]
) -> StudyVerdict:
    """scores: of every job of the runs that succeeded."""
    spec = study.spec
    arms = score_arms(spec, runs, scores)
    registered = registered_comparison(spec)
    found = [(one, _difference(one, arms)) for one in exploratory_comparisons(spec)]
    explored = [(one, difference) for one, difference in found if difference is not None]
    judged = _judged_together([difference for _, difference in explored])
    contrast = _difference(registered, arms)
    return StudyVerdict(
        study_id=study.id,
        state=study.state,
        is_final=study.state in ENDED_STUDY_STATES,
        baseline=spec.baseline,
        arms=tuple(_arm_verdict(arm.name, spec, arms, runs) for arm in spec.arms),
        contrast=None
        if contrast is None
        else _told(registered, contrast, arms, spec, _judged_alone(contrast)),
        exploratory=tuple(
            _told(one, difference, arms, spec, how)
            for (one, difference), how in zip(explored, judged, strict=True)
        ),
        left_out=arms.left_out,
        notes=tuple(_notes(spec, runs, arms)),
    )


def _judged_alone(found: SeedDifference) -> _Judged:
    return _Judged(found.p_value, found.smallest_p_value, num_comparisons=1)


def _judged_together(found: Sequence[SeedDifference]) -> Iterable[_Judged]:
    """Holm never falls where a p-value rises, so no outcome of so many seeds gets below the smallest ones adjusted."""
    adjusted = holm([one.p_value for one in found])
    smallest = holm([one.smallest_p_value for one in found])
    for p_value, smallest_p_value in zip(adjusted, smallest, strict=True):
        yield _Judged(p_value, smallest_p_value, num_comparisons=len(found))


def _shared_seeds(one: Compared, arms: ScoredArms) -> list[int]:
    first, second = (arms.values(name, one.metric) for name in (one.minus, one.arm))
    return [seed for seed in first if seed in second]


def _difference(one: Compared, arms: ScoredArms) -> SeedDifference | None:
    """Paired by seed, or of all runs where the two have no seed in common; None where one has no run."""
    of_minus, of_arm = (arms.values(name, one.metric) for name in (one.minus, one.arm))
    if not of_minus or not of_arm:
        return None
    seeds = _shared_seeds(one, arms)
    if not seeds:
        return unpaired_difference(column(of_minus, list(of_minus)), column(of_arm, list(of_arm)))
    first, second = column(of_minus, seeds), column(of_arm, seeds)
    parts = _parts(one, arms)
    return paired_difference(first, second, least_sd=parts.sampling_sd if parts else 0.0)


def _parts(one: Compared, arms: ScoredArms) -> Components | None:
    """Of a difference of pass@k over two seeds or more."""
    k, seeds = k_of(one.metric), _shared_seeds(one, arms)
    if k is None or not seeds:
        return None
    return difference_components(arms.counts(one.minus, seeds), arms.counts(one.arm, seeds), k)


def _told(
    one: Compared,
    found: SeedDifference,
    arms: ScoredArms,
    spec: StudySpec,
    judged: _Judged,
) -> StudyDifference:
    asked, parts = spec.smallest_difference, _parts(one, arms)
    spread = _spread(found, parts)
    is_registered = one == registered_comparison(spec)
    told = StudyDifference(
        arm=one.arm,
        minus=one.minus,
        metric=one.metric,
        pre_registered=is_registered,
        num_pairs=found.num_pairs,
        estimate=found.estimate,
        low=found.low if parts is None else _within(found.low, -1.0, 1.0),
        high=found.high if parts is None else _within(found.high, -1.0, 1.0),
        sd=found.sd,
        p_value=found.p_value,
        adjusted_p_value=None if is_registered else judged.p_value,
        smallest_p_value=found.smallest_p_value,
        can_resolve=judged.smallest_p_value <= SIGNIFICANCE,
        is_found=judged.p_value <= SIGNIFICANCE,
        smallest_detectable_difference=None
        if spread is None
        else smallest_detectable(spread, found.num_pairs, level=judged.level),
        seeds_needed=None
        if parts is None or asked is None or spread is None
        else seeds_needed(spread, asked, level=judged.level),
        parts=_parts_view(parts),
        reading="",
    )
    reading = reading_of(
        told, num_comparisons=judged.num_comparisons, smallest_p_value=judged.smallest_p_value
    )
    return told.model_copy(update={"reading": reading})


def _spread(found: SeedDifference, parts: Components | None) -> float | None:
    """Standard deviation of one seed's difference, never less than its samples make of it; None without pairs."""
    if found.sd is None or not found.num_pairs:
        return None
    return max(found.sd, parts.sampling_sd if parts else 0.0)


def _arm_verdict(
    name: str, spec: StudySpec, arms: ScoredArms, runs: Sequence[RunRow]
) -> ArmVerdict:
    of_arm = [run for run in runs if run.arm == name]
    looked_at = [run for run in of_arm if run.collapsed is not None]
    num_collapsed = sum(bool(run.collapsed) for run in looked_at)
    figures = {metric: _figures(name, metric, arms) for metric in spec.metrics}
    return ArmVerdict(
        arm=name,
        num_runs=len(of_arm),
        num_ended=sum(run.state != PENDING and not is_active(run.state) for run in of_arm),
        num_collapsed=num_collapsed,
        collapse_rate=num_collapsed / len(looked_at) if looked_at else None,
        metrics={metric: each for metric, each in figures.items() if each is not None},
    )


def _figures(name: str, metric: str, arms: ScoredArms) -> ArmFigures | None:
    """None where no run has the metric."""
    values = arms.values(name, metric)
    if not values:
        return None
    seeds, k = list(values), k_of(metric)
    parts = None if k is None else run_components(arms.counts(name, seeds), k)
    spread = seed_spread(column(values, seeds), least_sd=parts.sampling_sd if parts else 0.0)
    return ArmFigures(
        num_seeds=spread.num_seeds,
        mean=spread.mean,
        low=spread.low if k is None else _within(spread.low, 0.0, 1.0),
        high=spread.high if k is None else _within(spread.high, 0.0, 1.0),
        sd=spread.sd,
        least=spread.least,
        greatest=spread.greatest,
        seeds=tuple(seeds),
        values=tuple(values.values()),
        parts=_parts_view(parts),
    )


def _runs(count: int) -> str:
    return "1 run is" if count == 1 else f"{count} runs are"


def _within(value: float | None, least: float, greatest: float) -> float | None:
    return None if value is None else min(max(value, least), greatest)


def _parts_view(parts: Components | None) -> VarianceParts | None:
    return None if parts is None else VarianceParts.model_validate(asdict(parts))


def _notes(spec: StudySpec, runs: Sequence[RunRow], arms: ScoredArms) -> Iterable[str]:
    yield (
        "Intervals and p-values are over training seeds, for these problems. Another set of problems would move all "
        "runs together: problem_sd says how far."
    )
    num_open = sum(run.state == PENDING or is_active(run.state) for run in runs)
    if num_open:
        yield f"{num_open} of {len(runs)} runs have not ended: all figures may still change."
    if len(spec.seeds) < min_paired_seeds():
        yield (
            f"{len(spec.seeds)} seeds cannot resolve anything at 5 %: at least {min_paired_seeds()} paired seeds."
        )
    if arms.left_out:
        yield (
            f"{_runs(len(arms.left_out))} in no mean. An arm whose worst runs fail looks better than it is: read its "
            "collapse rate beside its scores."
        )
    if REVERSE_KL not in spec.metrics:
        return
    yield (
        "reverse_kl is the reverse KL to the teacher after training, nats a token, on fresh responses to at most "
        f"{spec.base.evaluation.reverse_kl_problems} problems of each benchmark."
    )
    without = arms.num_without(REVERSE_KL)
    if without:
        yield (
            f"{_runs(without)} left out of reverse_kl alone: it was not measured, as in jobs of before it was, or is not "
            "finite."
        )
