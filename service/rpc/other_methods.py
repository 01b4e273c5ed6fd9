"""Reflection, for those who may read; and methods that there are not."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection, reflection_pb2

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Scope
from service.rpc.admission import Admission
from service.rpc.statuses import status_of

# A stream of reflection holds a thread while it is open: it must not be one of the calls'.
NUM_REFLECTIONS = 4
MAX_SHOWN_CHARACTERS = 200

if TYPE_CHECKING:  # gRPC's classes are generic in their type stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
    GenericHandler = grpc.GenericRpcHandler[Any, Any]
else:
    GenericHandler = grpc.GenericRpcHandler


def reflection_handler(service_names: Sequence[str], admission: Admission) -> "GenericHandler":
    """Describes the services to clients that know nothing of them."""
    servicer = reflection.ReflectionServicer([*service_names, reflection.SERVICE_NAME])
    pool = ThreadPoolExecutor(NUM_REFLECTIONS, thread_name_prefix="grpc-reflection")
    handler = grpc.stream_stream_rpc_method_handler(
        _Reflection(servicer, admission, pool),
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(
        reflection.SERVICE_NAME, {"ServerReflectionInfo": handler}
    )


@dataclass(frozen=True)
class _Reflection:
    servicer: reflection.ReflectionServicer
    admission: Admission
    experimental_thread_pool: ThreadPoolExecutor

    def __call__(
        self, requests: Iterator[Message], context: grpc.ServicerContext
    ) -> Iterator[Message]:
        _admit(self.admission, context, method=f"/{reflection.SERVICE_NAME}/ServerReflectionInfo")
        answers: Iterator[Message] = self.servicer.ServerReflectionInfo(requests, context)  # type: ignore[func-returns-value, assignment]
        yield from answers


class UnknownMethods(GenericHandler):
    """Comes last, for what no service has."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler":
        method = handler_call_details.method

        def refuse(_request: bytes, context: grpc.ServicerContext) -> None:
            _admit(self._admission, context, method=method)
            shown = method[:MAX_SHOWN_CHARACTERS]
            error = DriftgateError(
                ErrorCode.ROUTE_NOT_FOUND,
                f"There is no method {shown}. Reflection lists what there is.",
                [Violation("method", shown, "a method of a service that reflection lists")],
            )
            context.abort_with_status(status_of(error, method=method))

        return grpc.unary_unary_rpc_method_handler(refuse)


def _admit(admission: Admission, context: grpc.ServicerContext, *, method: str) -> None:
    try:
        admission.admit(context, method=method, needed=Scope.READ)
    except Exception as error:  # noqa: BLE001 the transport's last resort
        context.abort_with_status(status_of(error, method=method))
