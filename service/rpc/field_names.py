"""Fields at fault by the names that the request has them under."""

from google.protobuf.descriptor import Descriptor

from service.errors import DriftgateError, Violation

# The operations name fields as REST does. Where requests have another name for the same, that.
NAMES_IN_REQUESTS = {
    "after": "after_seq",
    "api_key_id": "key_id",
    "idempotency_key": "request_id",
    "job_id": "job_ids",
    "key": "keys",
    "label": "labels",
    "name": "file",
    "version": "if_version",
}


def in_names_of(request: Descriptor, error: DriftgateError) -> DriftgateError:
    """The error with the request's own names of fields, in its violations and at the start of its message."""
    violations = [_renamed(request, violation) for violation in error.violations]
    message = error.message
    for before, after in zip(error.violations, violations, strict=True):
        if message.startswith((f"{before.field} ", f"{before.field}:")):
            message = after.field + message.removeprefix(before.field)
            break
    return DriftgateError(error.code, message, violations, error.retry_after_s)


def _renamed(request: Descriptor, violation: Violation) -> Violation:
    name, dot, rest = violation.field.partition(".")
    own_name = NAMES_IN_REQUESTS.get(name)
    if name in request.fields_by_name or own_name not in request.fields_by_name:
        return violation
    return Violation(f"{own_name}{dot}{rest}", violation.given, violation.allowed)
