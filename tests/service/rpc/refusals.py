"""What a refused call says, in the same shape for both transports."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from service.rpc.statuses import MAX_MESSAGE_BYTES, MAX_TEXT_BYTES, MAX_VIOLATIONS


@dataclass(frozen=True)
class Refusal:
    """violations: field and what is said of it. retry_after_s: None where it is not to be tried again."""

    code: str
    message: str
    violations: tuple[tuple[str, str], ...]
    retry_after_s: int | None

    @property
    def fields(self) -> list[str]:
        return [field for field, _ in self.violations]

    def with_names(self, names: Mapping[str, str]) -> "Refusal":
        """The same with other names of fields, also where the message begins with one."""
        first, space, rest = re.split(r"([ :])", self.message, maxsplit=1)
        return replace(
            self,
            message=names.get(first, first) + space + rest,
            violations=tuple((names.get(field, field), said) for field, said in self.violations),
        )


def refusal_by_grpc(call: Callable[[], Any]) -> tuple[grpc.StatusCode, Refusal]:
    """The gRPC code and the details of the error that the call ends with."""
    with pytest.raises(grpc.RpcError) as raised:
        _to_its_end(call())
    status = rpc_status.from_call(raised.value)
    assert status is not None, f"no details: {raised.value}"
    assert status.message == raised.value.details()
    found = {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    info, fields, retry = ErrorInfo(), BadRequest(), RetryInfo()
    assert found["ErrorInfo"].Unpack(info)
    assert info.domain == "driftgate"
    if "BadRequest" in found:
        found["BadRequest"].Unpack(fields)
    if "RetryInfo" in found:
        found["RetryInfo"].Unpack(retry)
    assert info.metadata["retryable"] == str("RetryInfo" in found).lower()
    return raised.value.code(), Refusal(
        code=info.reason,
        message=status.message,
        violations=tuple((each.field, each.description) for each in fields.field_violations),
        retry_after_s=retry.retry_delay.seconds if "RetryInfo" in found else None,
    )


def refusal_by_rest(answer: httpx.Response) -> Refusal:
    """Texts are cut where gRPC cuts them: its trailers hold little."""
    problem = answer.json()
    assert problem["retryable"] == ("Retry-After" in answer.headers)
    return Refusal(
        code=problem["code"],
        message=_cut(problem["detail"], MAX_MESSAGE_BYTES),
        violations=tuple(
            (_cut(each["field"], MAX_TEXT_BYTES), _said_of(each))
            for each in problem["violations"][:MAX_VIOLATIONS]
        ),
        retry_after_s=int(answer.headers["Retry-After"]) if problem["retryable"] else None,
    )


def _to_its_end(answer: Any) -> None:
    if isinstance(answer, grpc.Call):  # a stream
        list(answer)


def _said_of(violation: dict[str, str]) -> str:
    given, allowed = (_cut(violation[name], MAX_TEXT_BYTES) for name in ("given", "allowed"))
    return f"given {given}; allowed: {allowed}"


def _cut(text: str, max_bytes: int) -> str:
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    return encoded[: max_bytes - 3].decode(errors="ignore") + "…"
