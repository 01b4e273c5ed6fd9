"""Who asks: API keys made, rotated and revoked, and the caller that a request's bearer token stands for."""

import hmac
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.argument_checks import check_range
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import ANYONE, Caller, Scope
from service.jobs.api_keys import (
    ApiKey,
    ApiKeyPage,
    ApiKeyRequest,
    ApiKeyRotation,
    CurrentCaller,
    NewApiKey,
)
from service.settings import Settings, check_bind, is_loopback
from service.storage.api_key_store import ApiKeyStore, FoundKey, key_sha256

# What another process revoked, this one accepts for so long.
CACHE_S = 5.0
# What a process knew of a key when the database last told, it goes by for so long where that will do.
OUTAGE_S = 3600.0
MAX_CACHED_KEYS = 10_000
MAX_AUTHORIZATION_CHARACTERS = 1000
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_STORED_KEY = re.compile(r"dg_[A-Za-z0-9_\-]{43}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _KnownKey:
    """A key that was found, until a time of the process's clock, and in an outage of the database until another."""

    key_sha256: str
    caller: Caller
    until_s: float
    outage_until_s: float


class Authenticator:
    """From an Authorization header to a caller. Knows no HTTP and no gRPC; threads may share one.

    Keys of the settings are admin, and count as one caller. Stored keys are kept for CACHE_S seconds, unknown
    ones not at all: each costs one look-up by an index, and only where it has the form of a stored key.
    """

    def __init__(
        self,
        store: ApiKeyStore,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._settings_sha256 = tuple(digest.lower() for digest in settings.api_key_sha256)
        self._settings_caller = Caller(
            key_id="",
            scope=Scope.ADMIN,
            max_queued_jobs=settings.max_queued_jobs_per_key,
            max_requests_per_minute=settings.max_requests_per_minute_per_key,
            max_streams=settings.max_streams_per_key,
        )
        self._known: dict[str, _KnownKey] = {}
        self._keys_are_needed = bool(self._settings_sha256)
        self._open_until_s = -math.inf

    def authenticate(self, authorization: str | None) -> Caller:
        """The caller of `Bearer KEY`; ANYONE where the server never had a key. May ask the database.

        Raises UNAUTHENTICATED, which does not tell unknown keys from revoked ones, and DATABASE_UNAVAILABLE.
        """
        caller = self.recall(authorization)
        if caller is not None:
            return caller
        if not self.needs_keys():
            return ANYONE
        digest = self._stored_digest(authorization)
        found = self._store.find(digest) if digest else None
        # The index found it; that it is this one is checked in constant time all the same.
        if found is None or not hmac.compare_digest(found.key_sha256, digest) or found.is_revoked:
            self._known.pop(digest, None)  # an outage must not open to it again
            raise _unauthenticated(authorization)
        if found.is_expired:
            raise _expired(found)
        if found.last_use_is_old:
            self._note_use(found)
        return self._remember(found)

    def recall(self, authorization: str | None) -> Caller | None:
        """The caller as far as this process knows it; None where only the database can tell. Never waits.

        Raises UNAUTHENTICATED for what can be no key of this server.
        """
        if not self._keys_are_needed:
            return ANYONE if self._clock() < self._open_until_s else None
        key = _bearer_key(authorization)
        if not key:
            raise _unauthenticated(authorization)
        digest = key_sha256(key)
        # Every digest is compared, in constant time: how long it takes says nothing about a key.
        matches = [hmac.compare_digest(digest, known) for known in self._settings_sha256]
        if any(matches):
            return self._settings_caller
        if not _STORED_KEY.fullmatch(key):
            raise _unauthenticated(authorization)
        known = self._known.get(digest)
        if known is None or self._clock() >= known.until_s:
            return None
        return known.caller if hmac.compare_digest(known.key_sha256, digest) else None

    def recall_in_outage(self, authorization: str | None) -> Caller | None:
        """The caller as the database last told, an hour ago at the most; None where this process was not told.

        It knows nothing of a key that was revoked since: for addresses that hold no data of anyone.
        """
        now_s = self._clock()
        if not self._keys_are_needed:
            return ANYONE if now_s < self._open_until_s + OUTAGE_S else None
        digest = self._stored_digest(authorization)
        known = self._known.get(digest)
        if known is None or now_s >= known.outage_until_s:
            return None
        return known.caller if hmac.compare_digest(known.key_sha256, digest) else None

    def needs_keys(self) -> bool:
        """Whether the settings hold a key or one was ever made: a revoked last key opens nothing."""
        if not self._keys_are_needed and self._clock() >= self._open_until_s:
            self._keys_are_needed = self._store.any_was_made()
            self._open_until_s = self._clock() + CACHE_S
        return self._keys_are_needed

    def check_bind(self, host: str) -> None:
        """Raises UNSAFE_BIND for an address that others can reach while no key is known of."""
        if is_loopback(host) or self._settings_sha256:
            return
        try:
            has_stored_keys = self.needs_keys()
        except DriftgateError as unknown:
            raise DriftgateError(
                ErrorCode.UNSAFE_BIND,
                f"Listening on {host!r} needs an API key. DRIFTGATE_API_KEY_SHA256 is not set, and whether the "
                f"database holds a key is not known: {unknown.message} Make one with `driftgate keys create "
                "--name NAME --scope admin`, or listen on 127.0.0.1.",
                [Violation("host", host, "a loopback address, unless there are API keys")],
            ) from unknown
        check_bind(host, self._settings, has_stored_keys=has_stored_keys)

    def forget(self) -> None:
        """What this process changed about keys holds for its next request."""
        self._known = {}
        self._open_until_s = -math.inf

    def _stored_digest(self, authorization: str | None) -> str:
        key = _bearer_key(authorization)
        return key_sha256(key) if _STORED_KEY.fullmatch(key) else ""

    def _remember(self, found: FoundKey) -> Caller:
        caller = self._caller(found.api_key)
        if len(self._known) >= MAX_CACHED_KEYS:
            self._known = {}
        now_s = self._clock()
        self._known[found.key_sha256] = _KnownKey(
            found.key_sha256,
            caller,
            until_s=now_s + min(CACHE_S, found.seconds_left),
            outage_until_s=now_s + min(OUTAGE_S, found.seconds_left),
        )
        return caller

    def _caller(self, api_key: ApiKey) -> Caller:
        settings = self._settings
        return Caller(
            key_id=api_key.caller_id,
            scope=api_key.scope,
            max_queued_jobs=_limit(api_key.max_queued_jobs, settings.max_queued_jobs_per_key),
            max_requests_per_minute=_limit(
                api_key.max_requests_per_minute, settings.max_requests_per_minute_per_key
            ),
            max_streams=_limit(api_key.max_streams, settings.max_streams_per_key),
        )

    def _note_use(self, found: FoundKey) -> None:
        try:
            self._store.note_use(found.api_key.id, at=found.now)
        except DriftgateError as error:  # the request itself may do without a write
            logger.warning("The last use of API key %s was not noted: %s", found.api_key.id, error)


class ApiKeyOperations:
    """What admins do with keys. Every error is a DriftgateError."""

    def __init__(self, store: ApiKeyStore, authenticator: Authenticator) -> None:
        self._store = store
        self._authenticator = authenticator

    def create(self, request: ApiKeyRequest, *, caller: Caller) -> NewApiKey:
        """Raises PERMISSION_DENIED on a server without keys: whoever came first would own it."""
        if caller == ANYONE:
            raise DriftgateError(
                ErrorCode.PERMISSION_DENIED,
                "The first API key of a server is not made over the network. Run `driftgate keys create --name "
                "NAME --scope admin` on the server, then send that key.",
            )
        created = self._store.create(request)
        self._authenticator.forget()
        return created

    def get(self, key_id: str) -> ApiKey:
        return self._store.get(key_id)

    def list_keys(
        self, *, limit: int = DEFAULT_PAGE_SIZE, page_token: str | None = None
    ) -> ApiKeyPage:
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._store.list_keys(limit=limit, token=page_token)

    def rotate(self, key_id: str, rotation: ApiKeyRotation) -> NewApiKey:
        rotated = self._store.rotate(key_id, rotation)
        self._authenticator.forget()
        return rotated

    def revoke(self, key_id: str) -> None:
        self._store.revoke(key_id)
        self._authenticator.forget()


def current_caller(caller: Caller) -> CurrentCaller:
    return CurrentCaller(
        caller_id=caller.key_id or None,
        scope=caller.scope,
        max_queued_jobs=caller.max_queued_jobs,
        max_requests_per_minute=caller.max_requests_per_minute,
        max_streams=caller.max_streams,
    )


def require_scope(caller: Caller, needed: Scope, *, asked: str) -> None:
    """asked: the request in a few words. Raises PERMISSION_DENIED."""
    if not caller.scope.allows(needed):
        raise DriftgateError(
            ErrorCode.PERMISSION_DENIED,
            f"{asked} needs an API key of scope {needed}; this one has scope {caller.scope}.",
            [Violation("scope", caller.scope, f"{needed} or more")],
        )


def _limit(of_key: int | None, of_settings: int) -> int:
    return of_settings if of_key is None else of_key


def _bearer_key(authorization: str | None) -> str:
    """The key; empty for anything that is not `Bearer KEY` in ASCII."""
    if (
        not authorization
        or len(authorization) > MAX_AUTHORIZATION_CHARACTERS
        or not authorization.isascii()
    ):
        return ""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _unauthenticated(authorization: str | None) -> DriftgateError:
    if not authorization:
        return _refusal(
            "Send `Authorization: Bearer KEY` with an API key of this server.", "nothing"
        )
    return _refusal(
        "The API key is unknown, expired or revoked. Send `Authorization: Bearer KEY` with a key of this "
        "server.",
        "a key that is not accepted",
    )


def _expired(found: FoundKey) -> DriftgateError:
    assert found.api_key.expires_at is not None
    return _refusal(
        f"The API key expired at {found.api_key.expires_at.isoformat()}. Ask an admin of this server for a "
        "new one.",
        "an expired key",
    )


def _refusal(message: str, given: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.UNAUTHENTICATED,
        message,
        [Violation("authorization", given, "Bearer and an API key")],
    )
