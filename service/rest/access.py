"""Who may ask: API keys where they are set; else this machine only, and no other site's pages."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import DriftgateError, ErrorCode, Violation
from service.rest.problems import problem_response
from service.settings import Settings, is_loopback

# The page, its files and the description of the API hold no data of anyone.
OPEN_PATHS = frozenset({"/", "/healthz", "/openapi.json"})
OPEN_PREFIX = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Access:
    """Without keys, a page of another site could reach this machine through the user's browser: by a
    host name of its own that resolves here, or by a form. Both show in the headers.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._key_hashes = settings.api_key_sha256
        self._host = settings.http_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                await problem_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> DriftgateError | None:
        headers = Headers(scope=scope)
        if not self._key_hashes:
            return self._foreign_host(headers) or self._foreign_origin(scope["method"], headers)
        if scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_PREFIX):
            return None
        return self._wrong_key(headers)

    def _foreign_host(self, headers: Headers) -> DriftgateError | None:
        given = headers.get("host", "")
        name = _host_name(given)
        if name == self._host or is_loopback(name):
            return None
        return DriftgateError(
            ErrorCode.FORBIDDEN_ORIGIN,
            f"The request is for host {given[:100]!r}, but a server without API keys answers only as "
            "localhost.",
            [Violation("host", given[:100], "localhost, 127.0.0.1 or [::1]")],
        )

    def _foreign_origin(self, method: str, headers: Headers) -> DriftgateError | None:
        origin = headers.get("origin")
        if method in SAFE_METHODS or origin is None:
            return None
        if urlsplit(origin).netloc == headers.get("host"):
            return None
        return DriftgateError(
            ErrorCode.FORBIDDEN_ORIGIN,
            f"A page of {origin[:100]!r} may not change anything here.",
            [Violation("origin", origin[:100], "the page of this server, or no browser")],
        )

    def _wrong_key(self, headers: Headers) -> DriftgateError | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(key.strip().encode()).hexdigest()
        # Every hash is compared, in constant time: how long it takes says nothing about a key.
        matches = [hmac.compare_digest(given, known.lower()) for known in self._key_hashes]
        if scheme.lower() == "bearer" and any(matches):
            return None
        return DriftgateError(
            ErrorCode.UNAUTHENTICATED,
            "Send `Authorization: Bearer KEY` with an API key of this server.",
            [
                Violation(
                    "authorization",
                    "a key that is not known" if key else "nothing",
                    "Bearer and an API key",
                )
            ],
        )


def _host_name(host: str) -> str:
    """Without the port and the brackets of IPv6; empty where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
