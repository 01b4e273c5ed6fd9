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
from service.statistics.study_power import MIN_PAIRED_SEEDS, seeds_needed
from service.storage.study_rows import RunRow, is_active
from service.storage.study_scores import RunScores
from service.studies.readings import reading_of
from service.studies.scored_arms import ScoredArms, column, k_of, score_arms


@dataclass(frozen=True, slots=True)
class _Compared:
    """What is compared with what."""

    arm: str
    minus: str
    metric: str


def make_verdict(
    study: Study, runs: Sequence[RunRow], scores: Mapping[str, RunScores]
) -> StudyVerdict:
    """scores: of every job of the runs that succeeded."""
    spec = study.spec
    arms = score_arms(spec, runs, scores)
    registered = _Compared(
        arm=spec.contrast.arm, minus=spec.contrast_minus, metric=spec.contrast.metric
    )
    others = [one for one in _comparisons(spec) if one != registered]
    found = [(one, _difference(one, arms)) for one in others]
    explored = [(one, difference) for one, difference in found if difference is not None]
    adjusted = holm([difference.p_value for _, difference in explored])
    contrast = _difference(registered, arms)
    return StudyVerdict(
        study_id=study.id,
        state=study.state,
        is_final=study.state in ENDED_STUDY_STATES,
        baseline=spec.baseline,
        arms=tuple(_arm_verdict(arm.name, spec, arms, runs) for arm in spec.arms),
        contrast=None
        if contrast is None
        else _told(registered, contrast, arms, spec, adjusted_p_value=None),
        exploratory=tuple(
            _told(one, difference, arms, spec, adjusted_p_value=p_value)
            for (one, difference), p_value in zip(explored, adjusted, strict=True)
        ),
        left_out=arms.left_out,
        notes=tuple(_notes(spec, runs, arms)),
    )


def _comparisons(spec: StudySpec) -> Iterable[_Compared]:
    for metric in spec.metrics:
        for arm in spec.arms:
            if arm.name != spec.baseline:
                yield _Compared(arm=arm.name, minus=spec.baseline, metric=metric)


def _shared_seeds(one: _Compared, arms: ScoredArms) -> list[int]:
    first, second = (arms.values(name, one.metric) for name in (one.minus, one.arm))
    return [seed for seed in first if seed in second]


def _difference(one: _Compared, arms: ScoredArms) -> SeedDifference | None:
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


def _parts(one: _Compared, arms: ScoredArms) -> Components | None:
    """Of a difference of pass@k over two seeds or more."""
    k, seeds = k_of(one.metric), _shared_seeds(one, arms)
    if k is None or not seeds:
        return None
    return difference_components(arms.counts(one.minus, seeds), arms.counts(one.arm, seeds), k)


def _told(
    one: _Compared,
    found: SeedDifference,
    arms: ScoredArms,
    spec: StudySpec,
    *,
    adjusted_p_value: float | None,
) -> StudyDifference:
    asked, parts = spec.smallest_difference, _parts(one, arms)
    decisive = found.p_value if adjusted_p_value is None else adjusted_p_value
    told = StudyDifference(
        arm=one.arm,
        minus=one.minus,
        metric=one.metric,
        pre_registered=adjusted_p_value is None,
        num_pairs=found.num_pairs,
        estimate=found.estimate,
        low=found.low if parts is None else _within(found.low, -1.0, 1.0),
        high=found.high if parts is None else _within(found.high, -1.0, 1.0),
        sd=found.sd,
        p_value=found.p_value,
        adjusted_p_value=adjusted_p_value,
        smallest_p_value=found.smallest_p_value,
        can_resolve=found.can_resolve,
        is_found=decisive <= SIGNIFICANCE,
        smallest_detectable_difference=found.smallest_detectable,
        seeds_needed=None
        if parts is None or asked is None or found.sd is None
        else seeds_needed(max(found.sd, parts.sampling_sd), asked),
        parts=_parts_view(parts),
        reading="",
    )
    return told.model_copy(update={"reading": reading_of(told)})


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
    if len(spec.seeds) < MIN_PAIRED_SEEDS:
        yield (
            f"{len(spec.seeds)} seeds cannot resolve anything at 5 %: at least {MIN_PAIRED_SEEDS} paired seeds."
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
