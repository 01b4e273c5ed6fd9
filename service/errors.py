"""The one error type that crosses parts of Driftgate; it knows no HTTP and no gRPC."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable names that clients may switch on. `service.error_catalogue` maps them to transports."""

    INVALID_SPEC = "INVALID_SPEC"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    MODEL_OUTSIDE_ROOT = "MODEL_OUTSIDE_ROOT"
    MODEL_NOT_ALLOWED = "MODEL_NOT_ALLOWED"
    MODEL_INVALID = "MODEL_INVALID"
    HUB_UNAVAILABLE = "HUB_UNAVAILABLE"
    VOCABULARY_MISMATCH = "VOCABULARY_MISMATCH"
    SUPPORT_TOO_LARGE = "SUPPORT_TOO_LARGE"
    DATASET_NOT_FOUND = "DATASET_NOT_FOUND"
    DATASET_OUTSIDE_ROOT = "DATASET_OUTSIDE_ROOT"
    DATASET_INVALID = "DATASET_INVALID"
    PROMPTS_EMPTY = "PROMPTS_EMPTY"
    PROMPT_TOO_LONG = "PROMPT_TOO_LONG"
    SECRET_NOT_FOUND = "SECRET_NOT_FOUND"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    STUDY_NOT_FOUND = "STUDY_NOT_FOUND"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    JOB_STATE_CONFLICT = "JOB_STATE_CONFLICT"
    JOB_IN_USE = "JOB_IN_USE"
    NO_TOKEN_DRIFT = "NO_TOKEN_DRIFT"
    STUDY_STATE_CONFLICT = "STUDY_STATE_CONFLICT"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    RANGE_NOT_SATISFIABLE = "RANGE_NOT_SATISFIABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    FORBIDDEN_ORIGIN = "FORBIDDEN_ORIGIN"
    RATE_LIMITED = "RATE_LIMITED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    WEBHOOK_TARGET_FORBIDDEN = "WEBHOOK_TARGET_FORBIDDEN"
    EXPORT_FAILED = "EXPORT_FAILED"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    ARTIFACTS_UNAVAILABLE = "ARTIFACTS_UNAVAILABLE"
    TEACHER_UNAVAILABLE = "TEACHER_UNAVAILABLE"
    TEACHER_INVALID = "TEACHER_INVALID"
    LEASE_LOST = "LEASE_LOST"
    NON_FINITE_LOSS = "NON_FINITE_LOSS"
    ENGINE_OUT_OF_SYNC = "ENGINE_OUT_OF_SYNC"
    CHECKPOINT_CORRUPT = "CHECKPOINT_CORRUPT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    DISK_FULL = "DISK_FULL"
    POISON_QUARANTINED = "POISON_QUARANTINED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNSAFE_BIND = "UNSAFE_BIND"
    INTERNAL = "INTERNAL"


# `https://USER:PASSWORD@HOST`, also of a password with a slash that nobody encoded. The container that
# abfs:// names before its @ is no secret.
_USER_INFO = re.compile(
    r"(?<=://)(?:"
    r"(?<!abfs://)[^\s/?#:@]+@"
    r"|[^\s/?#]*:[^\s/?#]*@"
    r"|[^\s/?#:@\[\]]*:(?![0-9]{1,5}(?:\W|$))\S*@"
    r")"
)


def without_user_info(text: str) -> str:
    """The text with `***` in place of the user name and the password of each URL in it."""
    return _USER_INFO.sub("***@", text) if "://" in text else text


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its dotted path in the request, what was given, and what is allowed."""

    field: str
    given: str
    allowed: str


class DriftgateError(Exception):
    """A refusal or a failure with a stable code, one sentence for a person, and the fields at fault.

    retry_after_s: when the same request may succeed, where that is known. No URL in it shows a user name or a
    password, for its texts go to clients, logs and stored jobs. Survives pickling: its arguments are all of its
    state.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        message = without_user_info(message)
        shown = tuple(replace(one, given=without_user_info(one.given)) for one in violations)
        super().__init__(code, message, shown, retry_after_s)
        self.code = code
        self.message = message
        self.violations = shown
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
