"""The gRPC server: every service, health and reflection on one port.

gRPC's synchronous server, with streams and long polls on a loop beside it: docs/decisions has the figures.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from service.key_watch import KeyWatch
from service.operations import Operations, build_operations
from service.rpc.admission import Admission
from service.rpc.handlers import Handlers
from service.rpc.other_methods import UnknownMethods, reflection_handler
from service.rpc.service_table import services
from service.rpc.stream_loop import StreamLoop
from service.settings import Settings
from service.stop_signals import stop_on_signals

NUM_THREADS = 16
NUM_TRANSFERS = 16
STOP_GRACE_S = 5.0
KEEPALIVE_MS = 60_000
MIN_PING_INTERVAL_MS = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A gRPC server with its streams."""

    grpc_server: grpc.Server
    streams: StreamLoop
    health_servicer: health.HealthServicer

    def start(self) -> None:
        self.streams.start()
        self.grpc_server.start()

    def stop(self, grace: float | None) -> threading.Event:
        """Takes no more calls. Open streams end at once, other calls have so many seconds.

        Returns an event that is set when all have ended.
        """
        self.health_servicer.enter_graceful_shutdown()
        stopped = self.grpc_server.stop(grace)
        self.streams.stop()
        return stopped


def build_server(operations: Operations, settings: Settings) -> tuple[Server, int]:
    """The server, not yet started, and the port that it is bound to (a free one for port 0).

    Raises UNSAFE_BIND for an address that is not loopback while there is no API key, and RuntimeError
    where the port is taken.
    """
    operations.authenticator.check_bind(settings.grpc_host)
    streams = StreamLoop(KeyWatch(operations.authenticator))
    admission = Admission(operations.authenticator, operations.limits)
    handlers = Handlers(
        admission=admission,
        limits=operations.limits,
        streams=streams,
        transfers=ThreadPoolExecutor(NUM_TRANSFERS, thread_name_prefix="grpc-transfer"),
        max_message_bytes=settings.max_body_bytes,
    )
    server = grpc.server(
        ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="grpc"),
        options=[
            # What is a little too large is refused in our words, what is far too large by gRPC.
            ("grpc.max_receive_message_length", 2 * settings.max_body_bytes),
            # Streams of a machine that vanished are freed, and clients may look after theirs as often.
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_MS),
            # Otherwise a second server on the port would start and take half of the calls.
            ("grpc.so_reuseport", 0),
        ],
    )
    names = []
    for descriptor, service in services(operations):
        names.append(descriptor.full_name)
        of_service = handlers.of_service(descriptor, service)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(descriptor.full_name, of_service)]
        )
    health_servicer = health.HealthServicer()
    for name in ("", *names):
        health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    described = reflection_handler([*names, health.SERVICE_NAME], admission)
    server.add_generic_rpc_handlers([described, UnknownMethods(admission)])
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    return Server(server, streams, health_servicer), port


def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT; calls in progress then have a few seconds to end."""
    stop = stop_on_signals()
    operations = build_operations(settings)
    server, port = build_server(operations, settings)
    server.start()
    logger.info("gRPC serves on %s:%d", settings.grpc_host, port)
    stop.wait()
    server.stop(grace=STOP_GRACE_S).wait()
    operations.close()
