"""Who may ask: API keys with scopes and limits; without keys this machine only, and no other site's pages."""

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from service.api_keys import Authenticator, require_scope
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import ANYONE, Caller, Scope
from service.request_limits import RequestLimits
from service.rest.problems import problem_response
from service.settings import Settings, is_loopback

# The page, its files and the description of the API hold no data of anyone.
OPEN_PATHS = frozenset({"/", "/healthz", "/openapi.json"})
METRICS_PATH = "/metrics"
OPEN_PREFIX = "/static/"
ADMIN_PREFIXES = ("/v1/api-keys", "/v1/webhooks")
OWN_KEY_PATH = "/v1/api-keys:current"
READING_METHODS = frozenset({"GET", "HEAD"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# As OpenAPI describes it.
SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `Authorization: Bearer dg_…`. Scope read is for GET and HEAD, write for all else, "
        "admin for `/v1/api-keys` and `/v1/webhooks`. A server on loopback that never had a key needs none.",
    }
}


class Access:
    """Puts the caller of a request into its state, or refuses the request.

    Without keys, a page of another site could reach this machine through the user's browser: by a
    host name of its own that resolves here, or by a form. Both show in the headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        limits: RequestLimits,
        settings: Settings,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._limits = limits
        self._host = settings.http_host

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_open(scope["path"]):
            try:
                caller = await self._admitted(scope)
            except DriftgateError as refusal:
                await problem_response(refusal)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Connection) -> Caller:
        """Raises what the request is refused for. Only for a key that this process does not know does it wait."""
        authorization = _header(scope, b"authorization")
        caller = self._authenticator.recall(authorization)
        if caller is None:
            caller = await run_in_threadpool(self._authenticate, scope["path"], authorization)
        if caller is ANYONE:
            self._refuse_foreign_host(scope)
            self._refuse_foreign_origin(scope)
            return caller
        method, path = scope["method"], scope["path"]
        require_scope(caller, _needed_scope(method, path), asked=f"{method} {path[:200]}")
        self._limits.take_request(caller)
        return caller

    def _authenticate(self, path: str, authorization: str | None) -> Caller:
        try:
            return self._authenticator.authenticate(authorization)
        except DriftgateError as refusal:
            is_outage = refusal.code is ErrorCode.DATABASE_UNAVAILABLE
            if path != METRICS_PATH or not is_outage:
                raise
            # That the database is away is what a scrape must be able to tell.
            caller = self._authenticator.recall_in_outage(authorization)
            if caller is None:
                raise
            return caller

    def _refuse_foreign_host(self, scope: Connection) -> None:
        given = _header(scope, b"host") or ""
        name = _host_name(given)
        is_one = sum(header == b"host" for header, _ in scope["headers"]) == 1 and "@" not in given
        if is_one and (name == self._host or is_loopback(name)):
            return
        raise DriftgateError(
            ErrorCode.FORBIDDEN_ORIGIN,
            f"The request is for host {given[:100]!r}, but a server without API keys answers only as "
            "localhost.",
            [Violation("host", given[:100], "localhost, 127.0.0.1 or [::1]")],
        )

    def _refuse_foreign_origin(self, scope: Connection) -> None:
        origin = _header(scope, b"origin")
        if scope["method"] in SAFE_METHODS or origin is None or _is_of_host(origin, scope):
            return
        raise DriftgateError(
            ErrorCode.FORBIDDEN_ORIGIN,
            f"A page of {origin[:100]!r} may not change anything here.",
            [Violation("origin", origin[:100], "the page of this server, or no browser")],
        )


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIX)


def _needed_scope(method: str, path: str) -> Scope:
    if path.startswith(ADMIN_PREFIXES) and path != OWN_KEY_PATH:
        return Scope.ADMIN
    return Scope.READ if method in READING_METHODS else Scope.WRITE


def _header(scope: Connection, name: bytes) -> str | None:
    """The first of that name, as Latin-1: one pass over the raw headers costs less than an object of them."""
    for header, value in scope["headers"]:
        if header == name:
            text: str = value.decode("latin-1")
            return text
    return None


def _is_of_host(origin: str, scope: Connection) -> bool:
    try:
        return urlsplit(origin).netloc == _header(scope, b"host")
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """Without the port and the brackets of IPv6; empty where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
