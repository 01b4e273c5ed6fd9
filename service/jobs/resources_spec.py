"""What a job asks of the worker that runs it."""

from collections.abc import Mapping

from pydantic import Field

from service.jobs.spec_fields import SpecPart

MAX_GPUS = 8  # of one host


class ResourcesSpec(SpecPart):
    """Devices of one worker; how many there are changes no result beyond rounding."""

    gpus: int = Field(
        default=1,
        ge=1,
        le=MAX_GPUS,
        description="GPUs of one worker that the job computes on. With more than one, student and teacher are cut "
        "over them, and rollouts, scoring and updates are shared out.",
    )


def refuse_what_needs_one_gpu(gpus: int, given: Mapping[str, str | None]) -> None:
    """Raises ValueError where several GPUs are asked for with a setting that works on one only.

    given: by field, what it has that several GPUs do not go with; None where they do.
    """
    if gpus == 1:
        return
    for field, value in given.items():
        if value is not None:
            raise ValueError(
                f"resources.gpus is {gpus}, but {field} is {value}, which a job on several GPUs cannot have; "
                f"set resources.gpus to 1, or change {field}"
            )
