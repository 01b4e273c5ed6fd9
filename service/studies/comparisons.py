"""What a study compares with what: the one comparison that is registered, and all others."""

from dataclasses import dataclass

from service.jobs.study_spec import StudySpec


@dataclass(frozen=True, slots=True)
class Compared:
    """One arm minus another in one metric."""

    arm: str
    minus: str
    metric: str


def registered_comparison(spec: StudySpec) -> Compared:
    return Compared(arm=spec.contrast.arm, minus=spec.contrast_minus, metric=spec.contrast.metric)


def exploratory_comparisons(spec: StudySpec) -> tuple[Compared, ...]:
    """Every arm minus the baseline in every metric, but for the registered one."""
    every = (
        Compared(arm=arm.name, minus=spec.baseline, metric=metric)
        for metric in spec.metrics
        for arm in spec.arms
        if arm.name != spec.baseline
    )
    registered = registered_comparison(spec)
    return tuple(one for one in every if one != registered)
