"""Query parameters that narrow a list of jobs."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.job_queries import JobFilter
from service.jobs.shown_input import shown
from service.jobs.spec import JobKind
from service.jobs.spec_fields import MAX_LABELS, Moment
from service.jobs.state import JobState

MAX_LABEL_CHARACTERS = 300


async def job_filter(
    *,
    state: Annotated[list[JobState], Query(description="Keep these states; repeatable.")] = [],  # noqa: B006
    kind: Annotated[list[JobKind], Query(description="Keep these kinds; repeatable.")] = [],  # noqa: B006
    label: Annotated[
        list[str],
        Query(
            max_length=MAX_LABELS,
            description="`KEY=VALUE`; repeatable, and then all of them: one value of each key.",
        ),
    ] = [],  # noqa: B006
    model: Annotated[
        str | None,
        Query(
            max_length=512,
            description="The student, the teacher or the evaluated model, as the spec names it.",
        ),
    ] = None,
    created_from: Annotated[
        Moment | None, Query(description="RFC 3339, with its zone; this moment or later.")
    ] = None,
    created_before: Annotated[
        Moment | None, Query(description="RFC 3339, with its zone; before this moment.")
    ] = None,
) -> JobFilter:
    """Every parameter that is given narrows the list."""
    return JobFilter(
        states=tuple(state),
        kinds=tuple(kind),
        labels=_labels(label),
        model=model,
        created_from=created_from,
        created_before=created_before,
    )


def _labels(texts: Sequence[str]) -> dict[str, str]:
    """Raises INVALID_ARGUMENT for two values of a key: no job has both, so no list would be what was meant."""
    labels: dict[str, str] = {}
    for key, value in map(_label, texts):
        if labels.setdefault(key, value) != value:
            given = f"{key}={labels[key]} and {key}={value}"
            raise DriftgateError(
                ErrorCode.INVALID_ARGUMENT,
                f"label: given {given[:200]!r}, allowed: one value of each key, as a job has it.",
                [Violation("label", repr(given[:200]), "one value of each key")],
            )
    return labels


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or len(text) > MAX_LABEL_CHARACTERS:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"label: given {shown(text)}, allowed: KEY=VALUE of at most {MAX_LABEL_CHARACTERS} "
            "characters.",
            [Violation("label", shown(text), "KEY=VALUE")],
        )
    return key, value
