"""Webhooks: what clients register, what receivers are sent, and the log of what was delivered."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, StrictBool, StringConstraints

from service.jobs.results import View
from service.jobs.spec import JobKind
from service.jobs.spec_fields import SpecPart
from service.jobs.state import JobState
from service.jobs.text_patterns import ONE_LINE_OR_NOTHING, WEBHOOK_URL

MAX_URL_CHARACTERS = 2000
MAX_FAILURE_CHARACTERS = 1000


class WebhookEventType(StrEnum):
    """Moves of a job that a webhook can be told of.

    A job is queued when it is submitted, when it is resumed, and when its attempt ended without an answer;
    `attempt` tells them apart. The passing states `starting`, `pausing` and `cancelling` are not told.
    """

    QUEUED = "job.queued"
    RUNNING = "job.running"
    PAUSED = "job.paused"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


TrialEventType = Literal["webhook.test"]
TRIAL_EVENT_TYPE: TrialEventType = "webhook.test"
TOLD_STATES = {JobState(one.removeprefix("job.")): one for one in WebhookEventType}


class DeliveryState(StrEnum):
    """`pending` until a receiver accepts it or every attempt was in vain."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def _named_once(event_types: tuple[WebhookEventType, ...]) -> tuple[WebhookEventType, ...]:
    return tuple(dict.fromkeys(event_types))


WebhookUrl = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        pattern=WEBHOOK_URL,
    ),
    Field(
        description="An https:// address that is not private; no user name, password or fragment. "
        "International names in their ASCII form."
    ),
]
EventTypes = Annotated[
    tuple[WebhookEventType, ...],
    Field(min_length=1, max_length=50, fail_fast=True),
    AfterValidator(_named_once),
]
Description = Annotated[
    str, StringConstraints(max_length=200, pattern=ONE_LINE_OR_NOTHING), Field(examples=["CI"])
]


class WebhookSpec(SpecPart):
    """A receiver to register."""

    url: WebhookUrl
    description: Description | None = None
    event_types: EventTypes = Field(
        default=tuple(WebhookEventType), description="What to tell of; all moves if left out."
    )
    enabled: StrictBool = True


class WebhookPatch(SpecPart):
    """A JSON merge patch (RFC 7396); what is not named stays as it is."""

    url: WebhookUrl | None = None
    description: Description | None = Field(default=None, description="null removes it.")
    event_types: EventTypes | None = None
    enabled: StrictBool | None = Field(
        default=None,
        description="While it is false nothing new is written down for the webhook, and what waits "
        "goes on waiting.",
    )


class Webhook(View):
    """A registered receiver. Its secret was shown when it was made."""

    id: str
    url: str
    description: str | None
    event_types: tuple[WebhookEventType, ...]
    enabled: bool = Field(description="Turned off by the service when the receiver answers 410.")
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook):
    """A webhook with its secret, which is shown this once."""

    secret: str = Field(description="`whsec_` and the base64 of 32 random bytes.")
    earlier_secret_until: datetime | None = Field(
        description="Until then what is sent is signed with the secret before this one too."
    )


class WebhookPage(View):
    """Newest first."""

    webhooks: tuple[Webhook, ...]
    next_page_token: str | None


class FailureNotice(View):
    """Why a job failed; its violations are in the job."""

    code: str
    message: str = Field(description=f"The first {MAX_FAILURE_CHARACTERS} characters.")


class JobNotice(View):
    """A job as it was right after the move; read the job for the rest."""

    job_id: str
    name: str | None
    kind: JobKind
    labels: dict[str, str]
    state: JobState
    attempt: int
    event_seq: int = Field(description="Of the event; two notices of one job are ordered by it.")
    job_version: int = Field(description="The job's version after the move.")
    failure: FailureNotice | None


class JobPayload(View):
    """The body that is sent for an event of a job."""

    type: WebhookEventType
    timestamp: datetime = Field(description="When it happened, not when it was sent.")
    payload_version: Literal[1] = Field(
        default=1,
        description="Grows when a field is removed or means something else; new fields do not count.",
    )
    data: JobNotice


class TrialNotice(View):
    webhook_id: str


class TrialPayload(View):
    """The body that is sent to try a receiver."""

    type: TrialEventType = TRIAL_EVENT_TYPE
    timestamp: datetime
    payload_version: Literal[1] = 1
    data: TrialNotice


class Delivery(View):
    """One event for one webhook."""

    id: str = Field(description="The header `webhook-id` of every attempt.")
    webhook_id: str
    job_id: str | None = Field(description="null for a test.")
    event_seq: int | None = Field(description="Of the job's event; null for a test.")
    event_type: WebhookEventType | TrialEventType
    state: DeliveryState
    num_attempts: int = Field(description="Begun so far; one may be under way.")
    next_attempt_at: datetime | None = Field(
        description="While it is pending; during an attempt, when it would be taken for lost."
    )
    created_at: datetime
    delivered_at: datetime | None


class DeliveryAttempt(View):
    """One try. A number that is missing is an attempt whose process ended in the middle of it."""

    number: int
    at: datetime
    http_status: int | None = Field(description="null where no answer came.")
    error: str | None = Field(description="null where the receiver accepted it.")
    seconds: float


class DeliveryDetail(Delivery):
    """A delivery with its body and its attempts, oldest first."""

    payload: dict[str, JsonValue] = Field(description="What is sent, of whatever version.")
    attempts: tuple[DeliveryAttempt, ...]


class DeliveryPage(View):
    """Newest first."""

    webhook_id: str
    deliveries: tuple[Delivery, ...]
    next_page_token: str | None
