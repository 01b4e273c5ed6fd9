"""ApiKeyService: keys made, replaced and revoked by admins."""

from service.api_keys import DEFAULT_PAGE_SIZE, current_caller
from service.jobs.access import Caller
from service.jobs.api_keys import ApiKeyRequest, ApiKeyRotation
from service.operations import Operations
from service.rpc.convert import view_message
from service.rpc.generated.driftgate.v1 import api_keys_pb2 as pb
from service.rpc.requests import parse_body


class ApiKeyService:
    """The same operations that REST calls."""

    def __init__(self, operations: Operations) -> None:
        self._api_keys = operations.api_keys

    def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, caller: Caller
    ) -> pb.CreateApiKeyResponse:
        created = self._api_keys.create(parse_body(ApiKeyRequest, request), caller=caller)
        return view_message(pb.CreateApiKeyResponse, created)

    def GetApiKey(self, request: pb.GetApiKeyRequest, _caller: Caller) -> pb.GetApiKeyResponse:
        api_key = self._api_keys.get(request.key_id)
        return pb.GetApiKeyResponse(api_key=view_message(pb.ApiKey, api_key))

    def ListApiKeys(
        self, request: pb.ListApiKeysRequest, _caller: Caller
    ) -> pb.ListApiKeysResponse:
        page = self._api_keys.list_keys(
            limit=request.page_size or DEFAULT_PAGE_SIZE, page_token=request.page_token or None
        )
        return view_message(pb.ListApiKeysResponse, page)

    def RotateApiKey(
        self, request: pb.RotateApiKeyRequest, _caller: Caller
    ) -> pb.RotateApiKeyResponse:
        rotation = parse_body(ApiKeyRotation, request, without=("key_id",))
        rotated = self._api_keys.rotate(request.key_id, rotation)
        return view_message(pb.RotateApiKeyResponse, rotated)

    def RevokeApiKey(
        self, request: pb.RevokeApiKeyRequest, _caller: Caller
    ) -> pb.RevokeApiKeyResponse:
        self._api_keys.revoke(request.key_id)
        return pb.RevokeApiKeyResponse()

    def GetCurrentCaller(
        self, _request: pb.GetCurrentCallerRequest, caller: Caller
    ) -> pb.GetCurrentCallerResponse:
        return view_message(pb.GetCurrentCallerResponse, current_caller(caller))
