"""Who asks: the scopes of API keys, and what a key may use."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key may do; each scope holds the one before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, needed: "Scope") -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Caller:
    """The key that a request came with; a limit of None is no limit.

    key_id: of the first key where this one came from it by rotation; empty where the server has no keys, or
    where the key is one of the settings.
    """

    key_id: str
    scope: Scope
    max_queued_jobs: int | None = None
    max_requests_per_minute: int | None = None
    max_streams: int | None = None


# On a server without keys, which answers only its own machine; and in the service's own processes.
ANYONE = Caller(key_id="", scope=Scope.ADMIN)
