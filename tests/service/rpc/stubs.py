"""Every service of the contract on one channel."""

from dataclasses import dataclass

import grpc

from service.rpc.generated.driftgate.v1 import (
    api_keys_pb2_grpc,
    catalogue_pb2_grpc,
    checkpoints_pb2_grpc,
    datasets_pb2_grpc,
    jobs_pb2_grpc,
    results_pb2_grpc,
    studies_pb2_grpc,
    webhooks_pb2_grpc,
)


@dataclass(frozen=True)
class Stubs:
    """The services on one channel."""

    channel: grpc.Channel

    @property
    def jobs(self) -> jobs_pb2_grpc.JobServiceStub:
        return jobs_pb2_grpc.JobServiceStub(self.channel)

    @property
    def results(self) -> results_pb2_grpc.ResultServiceStub:
        return results_pb2_grpc.ResultServiceStub(self.channel)

    @property
    def checkpoints(self) -> checkpoints_pb2_grpc.CheckpointServiceStub:
        return checkpoints_pb2_grpc.CheckpointServiceStub(self.channel)

    @property
    def datasets(self) -> datasets_pb2_grpc.DatasetServiceStub:
        return datasets_pb2_grpc.DatasetServiceStub(self.channel)

    @property
    def api_keys(self) -> api_keys_pb2_grpc.ApiKeyServiceStub:
        return api_keys_pb2_grpc.ApiKeyServiceStub(self.channel)

    @property
    def studies(self) -> studies_pb2_grpc.StudyServiceStub:
        return studies_pb2_grpc.StudyServiceStub(self.channel)

    @property
    def webhooks(self) -> webhooks_pb2_grpc.WebhookServiceStub:
        return webhooks_pb2_grpc.WebhookServiceStub(self.channel)

    @property
    def catalogue(self) -> catalogue_pb2_grpc.CatalogueServiceStub:
        return catalogue_pb2_grpc.CatalogueServiceStub(self.channel)
