"""How an export says that its destination refused, without a secret in it."""

from collections.abc import Iterable

from service.errors import DriftgateError, ErrorCode

MAX_REASON_CHARACTERS = 500
HIDDEN = "[secret]"


def export_failed(what: str, error: Exception, *, secrets: Iterable[str] = ()) -> DriftgateError:
    """EXPORT_FAILED: `what` did not work, and the first line of the reason."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = without_secrets(lines[0], secrets)[:MAX_REASON_CHARACTERS]
    return DriftgateError(ErrorCode.EXPORT_FAILED, f"{what}: {reason.rstrip('. ')}.")


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The longest secret first: one may be part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, HIDDEN)
    return text
