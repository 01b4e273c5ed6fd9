"""What a study found: arms over their seeds, the contrast it was made for, and what it saw besides."""

from pydantic import Field

from service.jobs.results import View
from service.jobs.studies import StudyState


class VarianceParts(View):
    """Standard deviations of one run's score, or of one seed's difference, by where they come from."""

    seed_sd: float = Field(
        description="Training with another seed; what the samples add is taken out."
    )
    sampling_sd: float = Field(description="Other samples of these problems.")
    problem_sd: float = Field(
        description="Other problems of the kind. They move all runs together, so no interval over seeds has it."
    )


class ArmFigures(View):
    """One metric of one arm over the seeds that have it."""

    num_seeds: int
    mean: float
    low: float | None = Field(description="Of the 95 % t-interval of the mean over other seeds.")
    high: float | None
    sd: float | None = Field(description="Between seeds, samples included; null of one seed.")
    least: float
    greatest: float
    seeds: tuple[int, ...]
    values: tuple[float, ...] = Field(description="In the order of `seeds`.")
    parts: VarianceParts | None = Field(description="Of pass@k with two seeds or more.")


class ArmVerdict(View):
    """One arm: how its runs ended and what they scored."""

    arm: str
    num_runs: int
    num_ended: int
    num_collapsed: int
    collapse_rate: float | None = Field(
        description="Of the runs that were looked at; null of none."
    )
    metrics: dict[str, ArmFigures]


class StudyDifference(View):
    """One arm minus another in one metric, seed by seed."""

    arm: str
    minus: str
    metric: str
    pre_registered: bool = Field(description="false: exploratory, whatever it shows.")
    num_pairs: int = Field(
        description="Seeds that both arms have, whose differences are taken; 0 where they share none, and all runs of "
        "the one are set against all of the other."
    )
    estimate: float
    low: float | None = Field(description="Of the 95 % t-interval over other seeds.")
    high: float | None
    sd: float | None = Field(description="Of one seed's difference.")
    p_value: float = Field(
        description="Two-sided, by permutation: of the signs of the seeds' differences."
    )
    adjusted_p_value: float | None = Field(
        description="After Holm, over all exploratory differences; null of the contrast, which needs none."
    )
    smallest_p_value: float = Field(description="What no outcome of so many seeds gets below.")
    can_resolve: bool = Field(
        description="Whether that, adjusted as the p-value is, is at most 5 %: of m exploratory differences over the same "
        "seeds, m times it."
    )
    is_found: bool = Field(description="Whether the p-value, adjusted where it is, is at most 5 %.")
    smallest_detectable_difference: float | None = Field(
        description="With 80 % power at the spread that was seen: at 5 % of the contrast, at 5 % / m of each of m exploratory "
        "differences, as Holm's first step asks; null where nothing can be found there."
    )
    seeds_needed: int | None = Field(
        description="To find the study's `smallest_difference` at that spread and level; null where none was asked for."
    )
    parts: VarianceParts | None = Field(description="Of pass@k with two seeds or more.")
    reading: str = Field(description="The same in a sentence.")


class LeftOutRun(View):
    """A run that is in no figure."""

    arm: str
    seed: int
    reason: str


class StudyVerdict(View):
    """What the runs that have ended say; the rest is still to come where `is_final` is false."""

    study_id: str
    state: StudyState
    is_final: bool
    baseline: str
    arms: tuple[ArmVerdict, ...]
    contrast: StudyDifference | None = Field(
        description="null until both of its arms have a run that ended."
    )
    exploratory: tuple[StudyDifference, ...] = Field(
        description="Every arm minus the baseline in every metric, but for the contrast."
    )
    left_out: tuple[LeftOutRun, ...]
    notes: tuple[str, ...]
