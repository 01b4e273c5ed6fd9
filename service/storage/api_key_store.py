"""API keys in SQL: made, found by their hash, listed, rotated, revoked.

A key is 256 random bits, so its plain SHA-256 is kept: nobody can try that many keys, and a slow hash, made
for passwords that can be guessed, would only make every request slow.
"""

import hashlib
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.access import Scope
from service.jobs.api_keys import (
    MAX_LIFETIME_DAYS,
    ApiKey,
    ApiKeyPage,
    ApiKeyRequest,
    ApiKeyRotation,
    NewApiKey,
)
from service.storage.page_tokens import PagedList
from service.storage.row_ids import is_id, new_id
from service.storage.sessions import Database
from service.storage.tables import ApiKeyRow

KEY_PREFIX = "dg_"
NUM_RANDOM_BYTES = 32
NUM_CHARACTERS_SHOWN = 12
LAST_USE_PRECISION = timedelta(minutes=1)
PAGED = PagedList("api keys")


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A stored key at one time of the database's clock."""

    api_key: ApiKey
    key_sha256: str
    now: datetime

    @property
    def is_revoked(self) -> bool:
        return self._has_come(self.api_key.revoked_at)

    @property
    def is_expired(self) -> bool:
        return self._has_come(self.api_key.expires_at)

    @property
    def seconds_left(self) -> float:
        ends = [end for end in (self.api_key.revoked_at, self.api_key.expires_at) if end]
        return min(((end - self.now).total_seconds() for end in ends), default=math.inf)

    def _has_come(self, time: datetime | None) -> bool:
        return time is not None and time <= self.now

    @property
    def last_use_is_old(self) -> bool:
        last_used_at = self.api_key.last_used_at
        return last_used_at is None or last_used_at <= self.now - LAST_USE_PRECISION


class ApiKeyStore:
    """Every method is one transaction. Rows are never deleted: who revokes the last key locks the door."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, request: ApiKeyRequest) -> NewApiKey:
        """Raises INVALID_ARGUMENT for an expiry that has passed, or is too far."""
        with self._database.transaction() as session:
            now = self._database.now(session)
            key_id = new_id()
            row = ApiKeyRow(
                id=key_id,
                caller_id=key_id,
                name=request.name,
                scope=request.scope,
                max_queued_jobs=request.max_queued_jobs,
                max_requests_per_minute=request.max_requests_per_minute,
                max_streams=request.max_streams,
                created_at=now,
                expires_at=_future(request.time(now=now), now=now),
            )
            return _add_with_new_key(session, row)

    def get(self, key_id: str) -> ApiKey:
        """Raises RESOURCE_NOT_FOUND."""
        with self._database.read() as session:
            return _view(_key_row(session, key_id))

    def list_keys(self, *, limit: int, token: str | None = None) -> ApiKeyPage:
        """Newest first: ids grow with time."""
        query = select(ApiKeyRow).order_by(ApiKeyRow.id.desc()).limit(limit + 1)
        if token:
            query = query.where(ApiKeyRow.id < PAGED.row_id(token, is_id=is_id))
        with self._database.read() as session:
            rows = session.scalars(query).all()
        page = rows[:limit]
        return ApiKeyPage(
            api_keys=tuple(_view(row) for row in page),
            next_page_token=PAGED.token(page[-1].id) if len(rows) > limit else None,
        )

    def find(self, key_sha256: str) -> FoundKey | None:
        """The key of this hash, revoked or not."""
        with self._database.read() as session:
            row = session.scalars(
                select(ApiKeyRow).where(ApiKeyRow.key_sha256 == key_sha256)
            ).first()
            if row is None:
                return None
            return FoundKey(_view(row), row.key_sha256, self._database.now(session))

    def any_was_made(self) -> bool:
        """Whether a key was ever made; revoked and expired ones count."""
        with self._database.read() as session:
            return session.scalars(select(ApiKeyRow.id).limit(1)).first() is not None

    def rotate(self, key_id: str, rotation: ApiKeyRotation) -> NewApiKey:
        """A new key with the name, scope and limits of an earlier one, which ends after its grace.

        Raises RESOURCE_NOT_FOUND, and INVALID_ARGUMENT for a key that is revoked or an expiry that has passed.
        """
        with self._database.transaction() as session:
            earlier = _key_row(session, key_id, lock=True)
            now = self._database.now(session)
            if earlier.revoked_at is not None and earlier.revoked_at <= now:
                raise _is_revoked(key_id)
            row = ApiKeyRow(
                id=new_id(),
                caller_id=earlier.caller_id,
                name=earlier.name,
                scope=earlier.scope,
                max_queued_jobs=earlier.max_queued_jobs,
                max_requests_per_minute=earlier.max_requests_per_minute,
                max_streams=earlier.max_streams,
                created_at=now,
                expires_at=_future(rotation.time(now=now), now=now) or _renewed(earlier, now=now),
            )
            end = now + timedelta(seconds=rotation.grace_s)
            earlier.revoked_at = min(earlier.revoked_at or end, end)
            return _add_with_new_key(session, row)

    def revoke(self, key_id: str) -> None:
        """The time of the first revocation stays. Raises RESOURCE_NOT_FOUND."""
        with self._database.transaction() as session:
            row = _key_row(session, key_id, lock=True)
            now = self._database.now(session)
            row.revoked_at = min(row.revoked_at or now, now)

    def note_use(self, key_id: str, *, at: datetime) -> None:
        """Writes at most once a minute, however many processes note the same use."""
        with self._database.transaction() as session:
            session.execute(
                update(ApiKeyRow)
                .where(
                    ApiKeyRow.id == key_id,
                    or_(
                        ApiKeyRow.last_used_at.is_(None),
                        ApiKeyRow.last_used_at <= at - LAST_USE_PRECISION,
                    ),
                )
                .values(last_used_at=at)
            )


def key_sha256(key: str) -> str:
    """In hex, as it is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def _add_with_new_key(session: Session, row: ApiKeyRow) -> NewApiKey:
    key = KEY_PREFIX + secrets.token_urlsafe(NUM_RANDOM_BYTES)
    row.key_sha256 = key_sha256(key)
    row.key_start = key[:NUM_CHARACTERS_SHOWN]
    session.add(row)
    session.flush()
    return NewApiKey(key=key, api_key=_view(row))


def _key_row(session: Session, key_id: str, *, lock: bool = False) -> ApiKeyRow:
    query = select(ApiKeyRow).where(ApiKeyRow.id == key_id)
    # An id of another form never reaches the database: PostgreSQL refuses NUL in text.
    row = (
        session.scalars(query.with_for_update() if lock else query).first()
        if is_id(key_id)
        else None
    )
    if row is None:
        shown = key_id[:NUM_CHARACTERS_SHOWN]  # who took the key for its id shall not read it here
        raise DriftgateError(
            ErrorCode.RESOURCE_NOT_FOUND,
            f"No API key has an id that begins with {shown!r}. The list of keys shows the ids.",
            [Violation("api_key_id", shown, "the id of an API key")],
        )
    return row


def _renewed(earlier: ApiKeyRow, *, now: datetime) -> datetime | None:
    """The earlier key's lifetime, from now on."""
    if earlier.expires_at is None:
        return None
    return now + (earlier.expires_at - earlier.created_at)


def _future(expires_at: datetime | None, *, now: datetime) -> datetime | None:
    latest = now + timedelta(days=MAX_LIFETIME_DAYS)
    if expires_at is not None and not now < expires_at <= latest:
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"expires_at is {expires_at.isoformat()}, but must be later than now, {now.isoformat()}, and not "
            f"later than {latest.isoformat()}.",
            [
                Violation(
                    "expires_at",
                    expires_at.isoformat(),
                    f"a time within the next {MAX_LIFETIME_DAYS:,} days",
                )
            ],
        )
    return expires_at


def _is_revoked(key_id: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"API key {key_id} is revoked and cannot be rotated. Create a new key.",
        [Violation("api_key_id", key_id, "a key that is not revoked")],
    )


def _view(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scope=Scope(row.scope),
        key_start=row.key_start,
        caller_id=row.caller_id,
        max_queued_jobs=row.max_queued_jobs,
        max_requests_per_minute=row.max_requests_per_minute,
        max_streams=row.max_streams,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
