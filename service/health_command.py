"""`driftgate healthcheck`: whether a process on this machine is well, for what starts and restarts it."""

import urllib.error
import urllib.request
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from service.health_file import seconds_since_touched
from service.settings import Settings

ANSWER_WITHIN_S = 5.0
# A turn of a loop may wait for a database or an artifact store that is away: three more, and a minute.
MISSED_TURNS = 3
TURN_MARGIN_S = 60.0


class Process(StrEnum):
    """The commands that run until they are stopped."""

    API = "api"
    GRPC = "grpc"
    RECONCILER = "reconciler"
    WORKER = "worker"


def what_is_wrong(process: Process, settings: Settings) -> str | None:
    """None where the process is well. Needs no API key, and says nothing of database and broker."""
    match process:
        case Process.API:
            return _rest_fault(settings)
        case Process.GRPC:
            return _grpc_fault(settings)
        case Process.RECONCILER:
            return _loop_fault(settings.health_file, turn_s=settings.reconcile_interval_s)
        case Process.WORKER:
            return _loop_fault(settings.health_file, turn_s=settings.poll_interval_s)


def _rest_fault(settings: Settings) -> str | None:
    url = f"http://{_reachable(settings.http_host)}:{settings.http_port}/healthz"
    # A proxy of the environment has no business between a machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_WITHIN_S):
            return None
    except (urllib.error.URLError, OSError) as error:
        return f"{url} does not answer: {error}"


def _grpc_fault(settings: Settings) -> str | None:
    import grpc  # noqa: PLC0415 the extra `api`, which a worker may lack
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    address = f"{_reachable(settings.grpc_host)}:{settings.grpc_port}"
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S
            )
        except grpc.RpcError as error:
            return f"gRPC on {address} does not answer: {error.code().name}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return f"gRPC on {address} says {status}"


def _loop_fault(path: Path | None, *, turn_s: float) -> str | None:
    if path is None:
        return (
            "DRIFTGATE_HEALTH_FILE is not set: name one file for the process and for this command"
        )
    age_s = seconds_since_touched(path)
    if age_s is None:
        return f"{path} was not written yet"
    limit_s = MISSED_TURNS * turn_s + TURN_MARGIN_S
    if age_s > limit_s:
        return f"{path} was touched last {age_s:.0f} s ago; allowed: {limit_s:g} s"
    return None


def _reachable(host: str) -> str:
    """An address of this machine for one that is listened on, as it stands in a URL."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "127.0.0.1"
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"
