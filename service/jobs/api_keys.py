"""API keys as clients make them and read them; the key itself is in the answer that made it and nowhere else."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from service.jobs.access import Scope
from service.jobs.results import View
from service.jobs.spec_fields import Moment, SpecPart
from service.jobs.text_patterns import ONE_LINE

MAX_LIFETIME_DAYS = 3650
MAX_GRACE_S = 30 * 86_400
MAX_LIMIT = 1_000_000

KeyName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


class Expiry(SpecPart):
    """When a key stops to be accepted: at a time, after some days, or, where neither is given, never."""

    expires_at: Moment | None = Field(default=None, description="With its time zone.")
    expires_in_days: int | None = Field(default=None, ge=1, le=MAX_LIFETIME_DAYS)

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.expires_at is not None and self.expires_in_days is not None:
            raise ValueError(
                f"expires_in_days is {self.expires_in_days}, but must be left out where expires_at is given"
            )
        return self

    def time(self, *, now: datetime) -> datetime | None:
        if self.expires_in_days is not None:
            return now + timedelta(days=self.expires_in_days)
        return self.expires_at


class ApiKeyRequest(Expiry):
    """The key to make. A limit that is left out is the server's own."""

    name: KeyName = Field(description="Whose key it is, for people.")
    scope: Scope = Field(
        default=Scope.WRITE,
        description="read: every GET but those of API keys and webhooks. write: jobs, studies and data sets as "
        "well. admin: API keys and webhooks too.",
    )
    max_queued_jobs: Limit | None = Field(default=None, description="Jobs that wait at once.")
    max_requests_per_minute: Limit | None = Field(
        default=None, description="A sixth of them may come at once."
    )
    max_streams: Limit | None = Field(default=None, description="Streams open at once.")


class ApiKeyRotation(Expiry):
    """How a key is replaced. Without a time the new key lives as long as the earlier one was meant to."""

    grace_s: int = Field(
        default=0,
        ge=0,
        le=MAX_GRACE_S,
        description="Seconds for which the earlier key is still accepted; 0 revokes it at once.",
    )


class ApiKey(View):
    """A key without the key. Times are UTC."""

    id: str
    name: str
    scope: Scope
    key_start: str = Field(description="The first characters of the key, to tell it from others.")
    caller_id: str = Field(
        description="What its jobs, limits and idempotency keys count under: its own id, or that of the key "
        "that it came from by rotation."
    )
    max_queued_jobs: int | None = Field(description="The server's own limit where null; so below.")
    max_requests_per_minute: int | None
    max_streams: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = Field(
        description="In the future while a key that was rotated has its grace."
    )
    last_used_at: datetime | None = Field(description="To the minute.")


class NewApiKey(View):
    """The only answer that ever holds the key."""

    key: str = Field(description="Send it as `Authorization: Bearer KEY`. It is not shown again.")
    api_key: ApiKey


class ApiKeyPage(View):
    """Newest first, revoked and expired ones among them."""

    api_keys: tuple[ApiKey, ...]
    next_page_token: str | None


class CurrentCaller(View):
    """What the key of this request may do; a limit of null is no limit."""

    caller_id: str | None = Field(
        description="Null where the server has no keys, or where the key is one of its settings."
    )
    scope: Scope
    max_queued_jobs: int | None
    max_requests_per_minute: int | None
    max_streams: int | None
