"""The gRPC server: JobService, health and reflection on one port."""

import logging
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service.operations import Operations, build_operations
from service.rpc.generated.driftgate.v1 import jobs_pb2, jobs_pb2_grpc
from service.rpc.interceptors import ApiKeyInterceptor, ErrorInterceptor, Interceptor
from service.rpc.job_service import JobService
from service.settings import Settings, check_bind
from service.stop_signals import stop_on_signals

NUM_THREADS = 16
STOP_GRACE_S = 5.0

logger = logging.getLogger(__name__)


def build_server(operations: Operations, settings: Settings) -> tuple[grpc.Server, int]:
    """The server, not yet started, and the port that it is bound to (a free one for port 0).

    Raises UNSAFE_BIND for an address that is not loopback while no API key is set, and RuntimeError
    where the port is taken.
    """
    check_bind(settings.grpc_host, settings)
    interceptors: list[Interceptor] = [ErrorInterceptor()]
    if settings.api_key_sha256:
        interceptors.insert(0, ApiKeyInterceptor(settings.api_key_sha256))
    server = grpc.server(
        ThreadPoolExecutor(max_workers=NUM_THREADS, thread_name_prefix="grpc"),
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            # Otherwise a second server on the port would start and take half of the calls.
            ("grpc.so_reuseport", 0),
        ],
    )
    job_service_name = jobs_pb2.DESCRIPTOR.services_by_name["JobService"].full_name
    jobs_pb2_grpc.add_JobServiceServicer_to_server(JobService(operations), server)  # type: ignore[no-untyped-call]
    health_servicer = health.HealthServicer()
    for name in ("", job_service_name):
        health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        (job_service_name, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    host = f"[{settings.grpc_host}]" if ":" in settings.grpc_host else settings.grpc_host
    return server, server.add_insecure_port(f"{host}:{settings.grpc_port}")


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
