"""What callers give beside bodies, kept within bounds: numbers, numbers of things, texts, keys."""

from collections.abc import Sequence, Sized

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.shown_input import shown

MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
MAX_TEXT_CHARACTERS = 512


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


def check_idempotency_key(key: str) -> None:
    """Raises INVALID_ARGUMENT for a key that not every transport and database could hold."""
    if 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_CHARACTERS and key.isascii() and key.isprintable():
        return
    allowed = f"1 to {MAX_IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters"
    raise DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"idempotency_key has {len(key)} characters; allowed: {allowed}.",
        [Violation("idempotency_key", shown(key), allowed)],
    )


def check_texts(**texts_by_field: Sequence[str]) -> None:
    """No stored text has control characters, and PostgreSQL refuses NUL even in a comparison."""
    for field, texts in texts_by_field.items():
        for text in texts:
            if len(text) > MAX_TEXT_CHARACTERS or not text.isprintable():
                allowed = f"at most {MAX_TEXT_CHARACTERS} printable characters"
                raise DriftgateError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{field}: given {shown(text)}, allowed: {allowed}.",
                    [Violation(field, shown(text), allowed)],
                )
