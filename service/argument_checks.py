"""Numbers that callers give, and numbers of things that they name, kept within bounds."""

from collections.abc import Sized

from service.errors import DriftgateError, ErrorCode, Violation


def check_range(field: str, value: int, *, low: int, high: int) -> None:
    """Raises INVALID_ARGUMENT unless low <= value <= high."""
    if not low <= value <= high:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"{field} is {value}, but must be from {low} to {high}.",
            [Violation(field, str(value), f"{low} to {high}")],
        )


def check_count(field: str, given: Sized, *, low: int, high: int, what: str) -> None:
    """Raises INVALID_ARGUMENT unless there are `low` to `high` of them. what: such as `ids of jobs`."""
    if not low <= len(given) <= high:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"{field} has {len(given)} {what}, but must have {low} to {high}.",
            [Violation(field, f"{len(given)} {what}", f"{low} to {high} {what}")],
        )
