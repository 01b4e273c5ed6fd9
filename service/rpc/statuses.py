"""Errors become google.rpc.Status: ErrorInfo with the stable code, BadRequest with the fields at fault."""

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from service.error_catalogue import CATALOGUE
from service.errors import DriftgateError

ERROR_DOMAIN = "driftgate"

# A status travels in the trailers, of which clients accept 8 KiB: cut, so that it arrives at all.
MAX_VIOLATIONS = 8
MAX_TEXT_BYTES = 120
MAX_MESSAGE_BYTES = 600


def grpc_status(error: DriftgateError) -> grpc.Status:
    """The status that a call is ended with; the catalogue gives its gRPC code."""
    entry = CATALOGUE[error.code]
    code: tuple[int, str] = grpc.StatusCode[entry.grpc_code].value
    details: list[Message] = [
        ErrorInfo(
            reason=error.code.value,
            domain=ERROR_DOMAIN,
            metadata={"retryable": str(entry.retryable).lower()},
        )
    ]
    if error.violations:
        details.append(
            BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(
                        field=_cut(violation.field),
                        description=f"given {_cut(violation.given)}; "
                        f"allowed: {_cut(violation.allowed)}",
                    )
                    for violation in error.violations[:MAX_VIOLATIONS]
                ]
            )
        )
    message = Status(
        code=code[0],
        message=_cut(error.message, MAX_MESSAGE_BYTES),
        details=[_packed(d) for d in details],
    )
    status: grpc.Status = rpc_status.to_status(message)
    return status


def _cut(text: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= max_bytes:
        return text
    return encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
