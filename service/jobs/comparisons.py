"""What a comparison of several jobs says: how far apart they are, and how far that can be told."""

from typing import Any

from pydantic import Field

from service.jobs.results import PassEstimate, View


class ComparedJob(View):
    """One of the jobs with its own estimates."""

    job_id: str
    name: str | None
    stage: str | None = Field(description="Whose evaluations are compared; null where it has none.")
    pass_at_k: dict[str, PassEstimate] = Field(description="Keyed by benchmark.")


class PairedFigures(View):
    """A job minus the reference on the same problems."""

    difference: PassEstimate = Field(
        description="`low` and `high`: paired bootstrap over problems; `sampling_low` and "
        "`sampling_high`: these problems, other samples of both."
    )
    p_value: float = Field(
        description="Two-sided, by permuting the samples of each problem between the two."
    )
    adjusted_p_value: float = Field(
        description="After Holm, for all comparisons of this kind in this answer."
    )
    wins: int = Field(
        description="Problems of which the job has the larger share of samples right."
    )
    losses: int
    ties: int
    smallest_resolvable_difference: float = Field(
        description="That as many samples of these problems would tell from none with 80 % power: "
        "2.8 times the standard error."
    )


class ComparedPair(View):
    """One job against the reference; without figures where the two cannot be compared."""

    job_id: str
    comparable: bool
    reasons: tuple[str, ...] = Field(description="Why the two cannot be compared.")
    benchmarks: dict[str, PairedFigures]
    mean: PairedFigures | None = Field(description="Unweighted over the benchmarks of both.")


class SpecDifference(View):
    """A field that is not the same in all specs; null where a spec does not have it."""

    field: str = Field(description="Dotted path.")
    values: tuple[Any, ...] = Field(description="In the order of the jobs.")


class Comparison(View):
    """Jobs against the first of them, by pass@k."""

    k: int
    reference_job_id: str
    jobs: tuple[ComparedJob, ...]
    pairs: tuple[ComparedPair, ...]
    spec_differences: tuple[SpecDifference, ...]
    note: str


class PlannedBenchmark(View):
    """How many samples a benchmark needs."""

    benchmark: str
    samples_per_problem: int
    tokens: int = Field(
        description="Response tokens of all its samples, at the pilot's mean length."
    )
    share_of_variance: float = Field(description="Of the variance of the mean over benchmarks.")


class SamplePlan(View):
    """Samples that tell two jobs apart by a difference of the mean pass@k, at the least cost."""

    job_id: str = Field(description="The pilot, whose samples say how hard the problems are.")
    stage: str
    k: int
    difference: float
    power: float = Field(description="Chance to see it, at 5 % false alarms.")
    reaches_difference: bool = Field(
        description="false where not even 4,096 samples a problem do; the plan is then those."
    )
    smallest_resolvable_difference: float = Field(description="With the samples of the plan.")
    smallest_resolvable_difference_now: float | None = Field(
        description="With the samples of the pilot; null where these are fewer than k a problem."
    )
    benchmarks: tuple[PlannedBenchmark, ...]
    tokens: int = Field(description="Response tokens of one job; a comparison needs them of each.")
