"""How an export says that its destination refused, without a secret in it."""

from collections.abc import Iterable

from service.errors import DriftgateError, ErrorCode
from service.secret_values import without_secrets

MAX_REASON_CHARACTERS = 500


def export_failed(what: str, error: Exception, *, secrets: Iterable[str] = ()) -> DriftgateError:
    """EXPORT_FAILED: `what` did not work, and the first line of the reason."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = without_secrets(lines[0], secrets)[:MAX_REASON_CHARACTERS]
    return DriftgateError(ErrorCode.EXPORT_FAILED, f"{what}: {reason.rstrip('. ')}.")
