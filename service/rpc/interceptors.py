"""What holds for every call: an API key where keys are set, and errors as statuses with details."""

import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc

from service.errors import DriftgateError, ErrorCode
from service.rpc.statuses import grpc_status

OWN_SERVICES = "/driftgate."
HEALTH_SERVICE = "/grpc.health.v1.Health/"

logger = logging.getLogger(__name__)

if TYPE_CHECKING:  # gRPC's classes are generic in their type stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Handler | None]
    Interceptor = grpc.ServerInterceptor[Any, Any]
else:
    Interceptor = grpc.ServerInterceptor


class ErrorInterceptor(Interceptor):
    """Ends a call of JobService that raised with the error's status; the unexpected is logged."""

    def intercept_service(
        self, continuation: "Continuation", handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        handler = continuation(handler_call_details)
        is_own = handler_call_details.method.startswith(OWN_SERVICES)
        # Health and reflection end their calls themselves, by an exception that has to pass.
        if handler is None or handler.unary_unary is None or not is_own:
            return handler
        answer = handler.unary_unary

        def answer_or_refuse(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return answer(request, context)
            except DriftgateError as error:
                refusal = error
            except Exception:
                logger.exception("%s failed", handler_call_details.method)
                refusal = DriftgateError(
                    ErrorCode.INTERNAL, "The server failed on this call; its log says why."
                )
            return context.abort_with_status(grpc_status(refusal))

        return grpc.unary_unary_rpc_method_handler(
            answer_or_refuse,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class ApiKeyInterceptor(Interceptor):
    """Refuses calls without `authorization: Bearer KEY`; health checks carry no key."""

    def __init__(self, api_key_sha256: Sequence[str]) -> None:
        self._api_key_sha256 = tuple(digest.lower() for digest in api_key_sha256)

    def intercept_service(
        self, continuation: "Continuation", handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        method = handler_call_details.method
        if method.startswith(HEALTH_SERVICE) or self._is_accepted(handler_call_details):
            return continuation(handler_call_details)
        # One handler for every arity: it aborts before anything is read or sent.
        return grpc.unary_unary_rpc_method_handler(_refuse_unauthenticated)

    def _is_accepted(self, handler_call_details: grpc.HandlerCallDetails) -> bool:
        metadata = dict(handler_call_details.invocation_metadata or ())
        scheme, _, key = str(metadata.get("authorization", "")).partition(" ")
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        # Every stored digest is compared, so that time tells nothing of which one matched.
        matches = [hmac.compare_digest(digest, known) for known in self._api_key_sha256]
        return scheme.lower() == "bearer" and any(matches)


def _refuse_unauthenticated(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG001 gRPC's signature
    context.abort_with_status(
        grpc_status(
            DriftgateError(
                ErrorCode.UNAUTHENTICATED,
                "This server needs an API key. Send the metadata `authorization: Bearer KEY`.",
            )
        )
    )
