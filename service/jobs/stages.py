"""When a model is evaluated: the stages of a job, by the names its results carry."""

BASELINE = "baseline"
FINAL = "final"
TEACHER = "teacher"
MODEL = "model"  # of a job that evaluates and trains nothing

_STEP_PREFIX = "step-"


def during_training(step: int) -> str:
    """The stage after `step` rollout batches; stages sort by their step."""
    return f"{_STEP_PREFIX}{step:07d}"


def step_of(stage: str) -> int | None:
    """The step of a stage during training; None for the others."""
    return int(stage.removeprefix(_STEP_PREFIX)) if stage.startswith(_STEP_PREFIX) else None


def is_of_trained_student(stage: str) -> bool:
    """Whether training again from an earlier checkpoint makes a new model for this stage."""
    return stage == FINAL or step_of(stage) is not None


def order_of(stage: str) -> tuple[int, str]:
    """Sorts stages as a reader expects them: before, during, after, the teacher."""
    known = (BASELINE, MODEL, "", FINAL, TEACHER)
    return (known.index(stage) if stage in known else known.index(""), stage)
