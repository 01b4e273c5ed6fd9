"""The services of the contract, each with what implements it."""

from google.protobuf.descriptor import ServiceDescriptor

from service.operations import Operations
from service.rpc.api_key_service import ApiKeyService
from service.rpc.catalogue_service import CatalogueService
from service.rpc.checkpoint_service import CheckpointService
from service.rpc.dataset_service import DatasetService
from service.rpc.generated.driftgate.v1 import (
    api_keys_pb2,
    catalogue_pb2,
    checkpoints_pb2,
    datasets_pb2,
    jobs_pb2,
    results_pb2,
    studies_pb2,
    webhooks_pb2,
)
from service.rpc.job_service import JobService
from service.rpc.result_service import ResultService
from service.rpc.study_service import StudyService
from service.rpc.webhook_service import WebhookService


def services(operations: Operations) -> list[tuple[ServiceDescriptor, object]]:
    return [
        (jobs_pb2.DESCRIPTOR.services_by_name["JobService"], JobService(operations)),
        (results_pb2.DESCRIPTOR.services_by_name["ResultService"], ResultService(operations)),
        (
            checkpoints_pb2.DESCRIPTOR.services_by_name["CheckpointService"],
            CheckpointService(operations),
        ),
        (datasets_pb2.DESCRIPTOR.services_by_name["DatasetService"], DatasetService(operations)),
        (api_keys_pb2.DESCRIPTOR.services_by_name["ApiKeyService"], ApiKeyService(operations)),
        (studies_pb2.DESCRIPTOR.services_by_name["StudyService"], StudyService(operations)),
        (webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"], WebhookService(operations)),
        (
            catalogue_pb2.DESCRIPTOR.services_by_name["CatalogueService"],
            CatalogueService(operations),
        ),
    ]
