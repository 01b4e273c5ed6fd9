"""Errors become google.rpc.Status: ErrorInfo with the stable code, BadRequest with the fields at fault, RetryInfo."""

import logging
import math

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import UNAVAILABLE
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from service.error_catalogue import CATALOGUE
from service.errors import DriftgateError, ErrorCode
from service.rpc.field_names import in_names_of

ERROR_DOMAIN = "driftgate"
RETRY_AFTER_S = 5

# A status travels in the trailers, of which clients accept 8 KiB: cut, so that it arrives at all.
MAX_VIOLATIONS = 8
MAX_TEXT_BYTES = 120
MAX_MESSAGE_BYTES = 600

logger = logging.getLogger(__name__)


class ServerStopsError(Exception):
    """The server stops in the middle of a stream, about which nothing else is wrong."""


def status_of(error: Exception, *, method: str, request: Descriptor | None = None) -> grpc.Status:
    """What a call ends with that raised this; what nobody expected is logged and told nothing of.

    request: of the method's request, whose names fields at fault have; None of a method that there is not.
    """
    if isinstance(error, DriftgateError):
        return grpc_status(error if request is None else in_names_of(request, error))
    if isinstance(error, ServerStopsError):
        return _packed_status(
            Status(code=UNAVAILABLE, message="The server stops. Call again, from where this ended.")
        )
    logger.error("%s failed", method, exc_info=error)
    return grpc_status(
        DriftgateError(
            ErrorCode.INTERNAL,
            "The service made a mistake. Its log says which; nothing is known to be wrong with "
            "the request.",
        )
    )


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
    if entry.retryable:
        wait_s = RETRY_AFTER_S if error.retry_after_s is None else math.ceil(error.retry_after_s)
        details.append(RetryInfo(retry_delay=Duration(seconds=wait_s)))
    message = Status(
        code=code[0],
        message=_cut(error.message, MAX_MESSAGE_BYTES),
        details=[_packed(d) for d in details],
    )
    return _packed_status(message)


def _packed_status(message: Status) -> grpc.Status:
    status: grpc.Status = rpc_status.to_status(message)
    return status


def _cut(text: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
