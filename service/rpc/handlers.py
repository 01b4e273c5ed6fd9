"""gRPC's handlers of a service's methods: admission, reading the request, errors as statuses.

A method takes a message and the caller. Its kind follows from what it is:

- a unary method returns its answer; a long poll (LONG_POLLS) may return an asynchronous generator of it instead;
- a stream that is followed is an asynchronous generator, and runs on the stream loop;
- a download is a generator, an upload takes an iterator of messages: they have threads of their own, so that
  long transfers never keep other calls waiting.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from inspect import isasyncgenfunction
from typing import TYPE_CHECKING, Any, ClassVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Caller
from service.request_limits import RequestLimits
from service.rpc.admission import Admission, authorization_of, scope_of
from service.rpc.requests import refuse_unknown_fields
from service.rpc.statuses import status_of
from service.rpc.stream_loop import Send, StreamLoop, Transfer, end_call

# Unary for clients. Here their threads are free while they wait, which costs each call another 0.1 ms.
LONG_POLLS = frozenset({"driftgate.v1.JobService.GetJob", "driftgate.v1.JobService.ListChanges"})

Behavior = Callable[[Any, Caller], Any]

if TYPE_CHECKING:  # gRPC's classes are generic in their type stubs only
    Handler = grpc.RpcMethodHandler[Any, Any]


@dataclass(frozen=True, slots=True)
class Handlers:
    """Makes the handlers of one server. transfers: threads of uploads and downloads."""

    admission: Admission
    limits: RequestLimits
    streams: StreamLoop
    transfers: ThreadPoolExecutor
    max_message_bytes: int

    def of_service(self, descriptor: ServiceDescriptor, service: object) -> dict[str, "Handler"]:
        """By name of the method. The service has a method of the same name for each."""
        return {
            method.name: self._handler(method, getattr(service, method.name))
            for method in descriptor.methods
        }

    def _handler(self, method: MethodDescriptor, behavior: Behavior) -> "Handler":
        call = _Call(self, method, behavior)
        serializer = GetMessageClass(method.output_type).SerializeToString
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(
                _Upload(call, self.transfers), response_serializer=serializer
            )
        if method.full_name in LONG_POLLS:
            return grpc.unary_stream_rpc_method_handler(
                _LongPoll(call), response_serializer=serializer
            )
        if not method.server_streaming:
            return grpc.unary_unary_rpc_method_handler(call.answer, response_serializer=serializer)
        stream = (
            _Followed(call) if isasyncgenfunction(behavior) else _Download(call, self.transfers)
        )
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=serializer)


class _Call:
    """What calls of one method have in common. Requests come as bytes, so that what cannot be read is refused
    like anything else.
    """

    def __init__(self, handlers: Handlers, method: MethodDescriptor, behavior: Behavior) -> None:
        self.handlers = handlers
        self.behavior = behavior
        service = method.containing_service.full_name
        self.path = f"/{service}/{method.name}"
        self._scope = scope_of(service, method.name)
        self._request_type = GetMessageClass(method.input_type)
        self._request = method.input_type

    def answer(self, data: bytes, context: grpc.ServicerContext) -> Message:
        try:
            caller = self.admitted(context)
            answer: Message = self.behavior(self.request(data), caller)
        except Exception as error:  # noqa: BLE001 the transport's last resort
            self.abort(context, error)
        return answer

    def admitted(self, context: grpc.ServicerContext) -> Caller:
        return self.handlers.admission.admit(context, method=self.path, needed=self._scope)

    def request(self, data: bytes) -> Message:
        """Raises PAYLOAD_TOO_LARGE and INVALID_ARGUMENT."""
        if len(data) > self.handlers.max_message_bytes:
            raise _too_large(self.handlers.max_message_bytes)
        try:
            request: Message = self._request_type.FromString(data)
        except DecodeError:
            raise self._unreadable() from None
        refuse_unknown_fields(request)
        return request

    def abort(self, context: grpc.ServicerContext, error: Exception) -> None:
        """Never returns."""
        context.abort_with_status(self.status_of(error))

    def status_of(self, error: Exception) -> grpc.Status:
        return status_of(error, method=self.path, request=self._request)

    def _unreadable(self) -> DriftgateError:
        name = self._request.full_name
        allowed = f"the bytes of a {name}, its texts in UTF-8"
        return DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"The request is no {name}. Send {allowed}.",
            [Violation("request", "bytes that cannot be read", allowed)],
        )


@dataclass(frozen=True)
class _Followed:
    """A stream that waits for news without a thread, as gRPC's own health service does it."""

    call: _Call
    experimental_non_blocking: ClassVar[bool] = True

    def __call__(self, data: bytes, context: grpc.ServicerContext, send: Send) -> None:
        try:
            caller = self.call.admitted(context)
            answers = self.call.behavior(self.call.request(data), caller)
        except Exception as error:  # noqa: BLE001 the transport's last resort
            end_call(context, send, self.call.status_of(error))
            return
        handlers = self.call.handlers
        place = handlers.limits.stream(caller)
        handlers.streams.serve(
            answers,
            context,
            send,
            status_of=self.call.status_of,
            authorization=authorization_of(context),
            place=place,
        )


@dataclass(frozen=True)
class _LongPoll:
    """One answer, at once or later; on the wire a unary call is a stream of one message."""

    call: _Call
    experimental_non_blocking: ClassVar[bool] = True

    def __call__(self, data: bytes, context: grpc.ServicerContext, send: Send) -> None:
        try:
            caller = self.call.admitted(context)
            answer = self.call.behavior(self.call.request(data), caller)
        except Exception as error:  # noqa: BLE001 the transport's last resort
            end_call(context, send, self.call.status_of(error))
            return
        if isinstance(answer, Message):
            send(answer)
            end_call(context, send)
            return
        self.call.handlers.streams.serve(
            answer,
            context,
            send,
            status_of=self.call.status_of,
            authorization=authorization_of(context),
            place=nullcontext(),
        )


@dataclass(frozen=True)
class _Download:
    """A stream that reads files."""

    call: _Call
    experimental_thread_pool: ThreadPoolExecutor

    def __call__(self, data: bytes, context: grpc.ServicerContext) -> Iterator[Message]:
        transfer = Transfer()
        end_watch = self.call.handlers.streams.watch(transfer, context)
        try:
            caller = self.call.admitted(context)
            with self.call.handlers.limits.stream(caller):
                for piece in self.call.behavior(self.call.request(data), caller):
                    transfer.num_pieces += 1
                    yield piece
        except Exception as error:  # noqa: BLE001 the transport's last resort
            self.call.abort(context, error)
        finally:
            end_watch()


@dataclass(frozen=True)
class _Upload:
    """A stream from the client, answered once."""

    call: _Call
    experimental_thread_pool: ThreadPoolExecutor

    def __call__(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Message:
        transfer = Transfer()
        end_watch = self.call.handlers.streams.watch(transfer, context)
        try:
            caller = self.call.admitted(context)
            with self.call.handlers.limits.stream(caller):
                pieces = self._pieces(requests, transfer)
                answer: Message = self.call.behavior(pieces, caller)
        except grpc.RpcError:
            raise  # the client is gone
        except Exception as error:  # noqa: BLE001 the transport's last resort
            self.call.abort(context, error)
        finally:
            end_watch()
        return answer

    def _pieces(self, requests: Iterator[bytes], transfer: Transfer) -> Iterator[Message]:
        for data in requests:
            transfer.num_pieces += 1
            yield self.call.request(data)


def _too_large(max_bytes: int) -> DriftgateError:
    return DriftgateError(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"The request body has more than {max_bytes:,} bytes. Upload large problem "
        "sets (UploadDataset), or raise DRIFTGATE_MAX_BODY_BYTES.",
        [Violation("body", f"more than {max_bytes:,} bytes", f"at most {max_bytes:,} bytes")],
    )
