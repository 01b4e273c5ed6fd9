"""Ways to weigh one batch's tokens, each as a change of the job's spec."""

from service.jobs.loss_spec import (
    Advantage,
    Direction,
    Granularity,
    Objective,
    SampledTokenObjective,
    TeacherTopKObjective,
)
from service.jobs.spec import JobSpec

OWN = "job"
PUBLISHED = SampledTokenObjective()


def weightings(spec: JobSpec) -> dict[str, JobSpec]:
    """The specs to compare, by name: the job's own first, then objective / gate.

    Each gate is the job's with another granularity, and damps; `none` is no gate. A sampled-token objective is taken with
    either advantage, with and without the clip: the job's clip, or the published one where it has none.
    """
    variants = {OWN: spec}
    for name, objective in _objectives(spec.objective).items():
        for granularity in (
            Granularity.NONE,
            Granularity.BLOCK,
            Granularity.NEWLINE_SPAN,
            Granularity.TOKEN,
        ):
            gate = spec.gate.model_copy(
                update={"granularity": granularity, "direction": Direction.DAMP}
            )
            variants[f"{name}/{granularity}"] = spec.model_copy(
                update={"objective": objective, "gate": gate}
            )
    return variants


def _objectives(own: Objective) -> dict[str, Objective]:
    if isinstance(own, TeacherTopKObjective):
        return {"topk": own}
    is_clipped = own.clip_range is not None or own.dual_clip is not None
    clipped = own if is_clipped else PUBLISHED
    unclipped = own.model_copy(update={"clip_range": None, "dual_clip": None})
    return {
        f"{advantage}/{name}": objective.model_copy(update={"advantage": advantage})
        for advantage in (Advantage.FROZEN, Advantage.RECOMPUTED)
        for name, objective in (("clip", clipped), ("no_clip", unclipped))
    }
