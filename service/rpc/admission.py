"""Who may call what: the caller of a call, its scope and its rate."""

import grpc

from service.api_keys import Authenticator, require_scope
from service.jobs.access import Caller, Scope
from service.request_limits import RequestLimits

# Services whose every method needs the scope, but for those of METHOD_SCOPES.
SERVICE_SCOPES = {
    "driftgate.v1.ApiKeyService": Scope.ADMIN,
    "driftgate.v1.WebhookService": Scope.ADMIN,
}
METHOD_SCOPES = {"driftgate.v1.ApiKeyService.GetCurrentCaller": Scope.READ}
# Verbs of methods that change nothing; all others need Scope.WRITE.
READING_VERBS = (
    "BatchGet",
    "Compare",
    "Download",
    "Get",
    "List",
    "Query",
    "ServerReflection",
    "Simulate",
    "Stream",
    "Watch",
)


class Admission:
    """As REST does it: the key first, then its scope, then its rate."""

    def __init__(self, authenticator: Authenticator, limits: RequestLimits) -> None:
        self._authenticator = authenticator
        self._limits = limits

    def admit(self, context: grpc.ServicerContext, *, method: str, needed: Scope) -> Caller:
        """Raises UNAUTHENTICATED, PERMISSION_DENIED and RATE_LIMITED. May ask the database."""
        caller = self._authenticator.authenticate(authorization_of(context))
        require_scope(caller, needed, asked=method)
        self._limits.take_request(caller)
        return caller


def scope_of(service: str, method: str) -> Scope:
    """What a key needs for a method of a service, by their full and their short name."""
    named = METHOD_SCOPES.get(f"{service}.{method}") or SERVICE_SCOPES.get(service)
    if named is not None:
        return named
    return Scope.READ if method.startswith(READING_VERBS) else Scope.WRITE


def authorization_of(context: grpc.ServicerContext) -> str | None:
    """As the client sent it; None without one."""
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return value if isinstance(value, str) else None
    return None
