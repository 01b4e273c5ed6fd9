"""API keys, for clients whose own key is an admin's."""

from service.client_http import Connection, read, segment
from service.jobs.api_keys import (
    ApiKey,
    ApiKeyPage,
    ApiKeyRequest,
    ApiKeyRotation,
    CurrentCaller,
    NewApiKey,
)

API_KEYS = "v1/api-keys"


class ApiKeyCalls(Connection):
    """Making and rotating a key is never repeated: each arrival would make another one."""

    def create_api_key(self, key: ApiKeyRequest) -> NewApiKey:
        """The key, shown this once."""
        request = self._request("POST", API_KEYS, json=key.model_dump(mode="json"))
        return read(self._once(request), NewApiKey)

    def api_keys(
        self, *, page_size: int | None = None, page_token: str | None = None
    ) -> ApiKeyPage:
        """One page, newest first."""
        return self._get(API_KEYS, ApiKeyPage, page_size=page_size, page_token=page_token)

    def api_key(self, key_id: str) -> ApiKey:
        return self._get(f"{API_KEYS}/{segment(key_id)}", ApiKey)

    def rotate_api_key(self, key_id: str, rotation: ApiKeyRotation | None = None) -> NewApiKey:
        """The key that replaces this one, shown this once; without a rotation the earlier one ends now."""
        body = (rotation or ApiKeyRotation()).model_dump(mode="json")
        request = self._request("POST", f"{API_KEYS}/{segment(key_id)}:rotate", json=body)
        return read(self._once(request), NewApiKey)

    def revoke_api_key(self, key_id: str) -> None:
        self._repeat(self._request("DELETE", f"{API_KEYS}/{segment(key_id)}"))

    def current_caller(self) -> CurrentCaller:
        """What the client's own key may do."""
        return self._get(f"{API_KEYS}:current", CurrentCaller)
