"""Due deliveries of webhooks: claimed by compare-and-set, their attempts recorded, old ones removed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.orm import Session

from service.jobs.webhooks import DeliveryState
from service.storage.new_rows import insert_new
from service.storage.sessions import Database
from service.storage.tables import WebhookAttemptRow, WebhookDeliveryRow, WebhookRow

KEPT_FOR = timedelta(days=30)
MAX_REMOVED_AT_ONCE = 1000
MAX_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class WaitingWebhook:
    """An enabled webhook with something due."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that this process now holds until the lease ends. `secrets`: to sign with, all of them.

    number: of the attempt; no other claim of the delivery has the same.
    """

    id: str
    webhook_id: str
    number: int
    event_type: str
    payload: str
    secrets: tuple[str, ...]
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt went. `error` is None where the receiver accepted the delivery."""

    http_status: int | None
    error: str | None
    seconds: float


class WebhookQueue:
    """The deliverers' side; several processes may use it at once. Every method is one transaction.

    clock: what is taken for now; the database's clock where it is None.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._clock = clock

    def waiting_webhooks(self) -> list[WaitingWebhook]:
        with self._database.read() as session:
            due = exists().where(
                WebhookDeliveryRow.webhook_id == WebhookRow.id, *_is_due(self._now(session))
            )
            rows = session.execute(
                select(WebhookRow.id, WebhookRow.url).where(WebhookRow.enabled, due)
            )
            return [WaitingWebhook(id=row.id, url=row.url) for row in rows]

    def claim(self, webhook_id: str, *, limit: int, lease_s: float) -> list[DueDelivery]:
        """Up to `limit` due deliveries, each with its next attempt moved to the end of the lease.

        So a delivery whose process ends in the middle of it is due again after the lease.
        """
        with self._database.transaction() as session:
            now = self._now(session)
            longest_due = (
                select(WebhookDeliveryRow.id)
                .where(WebhookDeliveryRow.webhook_id == webhook_id, *_is_due(now))
                .order_by(WebhookDeliveryRow.next_attempt_at, WebhookDeliveryRow.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            claimed = session.execute(
                update(WebhookDeliveryRow)
                .where(WebhookDeliveryRow.id.in_(session.scalars(longest_due).all()), *_is_due(now))
                .values(
                    num_attempts=WebhookDeliveryRow.num_attempts + 1,
                    next_attempt_at=now + timedelta(seconds=lease_s),
                )
                .returning(
                    WebhookDeliveryRow.id,
                    WebhookDeliveryRow.num_attempts,
                    WebhookDeliveryRow.event_type,
                    WebhookDeliveryRow.payload,
                )
                .execution_options(synchronize_session=False)
            ).all()
            secrets = _secrets_in_force(session, webhook_id, now=now) if claimed else ()
            return [
                DueDelivery(
                    id=row.id,
                    webhook_id=webhook_id,
                    number=row.num_attempts,
                    event_type=row.event_type,
                    payload=row.payload,
                    secrets=secrets,
                    claimed_at=now,
                )
                for row in claimed
            ]

    def delivered(self, due: DueDelivery, end: AttemptEnd) -> None:
        """The receiver accepted it; so it is, even where another attempt has begun since."""
        with self._database.transaction() as session:
            row = _recorded(session, due, end)
            if row is not None:
                row.state = DeliveryState.DELIVERED
                row.next_attempt_at = None
                row.delivered_at = self._now(session)

    def try_again(self, due: DueDelivery, end: AttemptEnd, *, after_s: float) -> None:
        with self._database.transaction() as session:
            row = _recorded(session, due, end)
            if row is not None and _is_newest(row, due):
                row.next_attempt_at = self._now(session) + timedelta(seconds=after_s)

    def give_up(self, due: DueDelivery, end: AttemptEnd) -> None:
        with self._database.transaction() as session:
            row = _recorded(session, due, end)
            if row is not None and _is_newest(row, due):
                row.state = DeliveryState.FAILED
                row.next_attempt_at = None

    def give_up_webhook(self, due: DueDelivery, end: AttemptEnd) -> None:
        """The receiver wants no more, ever: this delivery has failed and the webhook is disabled."""
        with self._database.transaction() as session:
            # The webhook before its delivery, as its deletion locks them.
            session.execute(
                update(WebhookRow)
                .where(WebhookRow.id == due.webhook_id, WebhookRow.enabled)
                .values(enabled=False, updated_at=self._now(session))
            )
            row = _recorded(session, due, end)
            if row is not None and _is_newest(row, due):
                row.state = DeliveryState.FAILED
                row.next_attempt_at = None

    def remove_old(self) -> int:
        """How many deliveries were removed because they are old, with their attempts; not all at once."""
        with self._database.transaction() as session:
            old = (
                select(WebhookDeliveryRow.id)
                .where(WebhookDeliveryRow.created_at < self._now(session) - KEPT_FOR)
                .order_by(WebhookDeliveryRow.created_at)
                .limit(MAX_REMOVED_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            delivery_ids = session.scalars(old).all()
            session.execute(
                delete(WebhookDeliveryRow)
                .where(WebhookDeliveryRow.id.in_(delivery_ids))
                .execution_options(synchronize_session=False)
            )
            return len(delivery_ids)

    def _now(self, session: Session) -> datetime:
        return self._clock().astimezone(UTC) if self._clock else self._database.now(session)


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        WebhookDeliveryRow.state == DeliveryState.PENDING,
        WebhookDeliveryRow.next_attempt_at <= now,
    )


def _secrets_in_force(session: Session, webhook_id: str, *, now: datetime) -> tuple[str, ...]:
    row = session.get_one(WebhookRow, webhook_id)
    if row.earlier_secret and row.earlier_secret_until and row.earlier_secret_until > now:
        return (row.secret, row.earlier_secret)
    return (row.secret,)


def _recorded(session: Session, due: DueDelivery, end: AttemptEnd) -> WebhookDeliveryRow | None:
    """The delivery, locked, with the attempt in its log; None where it was deleted meanwhile."""
    row = session.scalars(
        select(WebhookDeliveryRow).where(WebhookDeliveryRow.id == due.id).with_for_update()
    ).first()
    if row is not None:
        attempt = {
            "delivery_id": due.id,
            "number": due.number,
            "at": due.claimed_at,
            "http_status": end.http_status,
            "error": end.error and end.error.replace("\x00", "�")[:MAX_ERROR_CHARACTERS],
            "seconds": end.seconds,
        }
        insert_new(session, WebhookAttemptRow, [attempt])
    return row


def _is_newest(row: WebhookDeliveryRow, due: DueDelivery) -> bool:
    """Whether what the attempt found still decides: another may have begun, or have been accepted."""
    return row.num_attempts == due.number and row.state == DeliveryState.PENDING
