"""Which methods were called on a channel."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import Default


class CalledMethods(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    """Remembers the last one."""

    def __init__(self) -> None:
        self._last = ""

    @property
    def last_request(self) -> Descriptor | None:
        """Of the method that was called last; None where the contract has no such method."""
        try:
            return Default().FindMethodByName(self._last.lstrip("/").replace("/", ".")).input_type
        except KeyError:
            return None

    def _intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        self._last = details.method
        return continuation(details, request)

    intercept_unary_unary = _intercept
    intercept_unary_stream = _intercept
    intercept_stream_unary = _intercept
