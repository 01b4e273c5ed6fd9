"""Webhooks in SQL as clients change them, and the log of their deliveries."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.webhooks import (
    TRIAL_EVENT_TYPE,
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
    NewWebhook,
    TrialEventType,
    TrialNotice,
    TrialPayload,
    Webhook,
    WebhookEventType,
    WebhookPage,
    WebhookSpec,
)
from service.storage.page_tokens import PagedList
from service.storage.row_ids import is_id, new_id
from service.storage.sessions import Database
from service.storage.tables import WebhookDeliveryRow, WebhookRow
from service.storage.webhook_outbox import new_delivery
from service.storage.webhook_rows import (
    delivery_detail,
    delivery_row,
    delivery_view,
    webhook_row,
    webhook_view,
    webhook_with_secret,
)
from service.webhook_signature import new_secret

MAX_WEBHOOKS = 100  # each event asks all of them
EARLIER_SECRET_GRACE = timedelta(hours=24)
PAGED = PagedList("webhooks")


class WebhookStore:
    """What clients ask of webhooks. Every method is one transaction.

    clock: what is taken for now; the database's clock where it is None.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._clock = clock

    def create(self, spec: WebhookSpec) -> NewWebhook:
        """A webhook with its secret. Raises QUOTA_EXCEEDED."""
        with self._database.transaction() as session:
            _check_quota(session)
            now = self._now(session)
            row = WebhookRow(
                id=new_id(),
                url=spec.url,
                description=spec.description,
                event_types=list(spec.event_types),
                secret=new_secret(),
                enabled=spec.enabled,
                created_at=now,
                updated_at=now,
            )
            session.add(row)
            session.flush()
            return webhook_with_secret(row)

    def get(self, webhook_id: str) -> Webhook:
        with self._database.read() as session:
            return webhook_view(webhook_row(session, webhook_id))

    def list_webhooks(self, *, limit: int, token: str | None = None) -> WebhookPage:
        query = select(WebhookRow).order_by(WebhookRow.id.desc()).limit(limit + 1)
        if token:
            query = query.where(WebhookRow.id < PAGED.row_id(token, is_id=is_id))
        with self._database.read() as session:
            rows = session.scalars(query).all()
            return WebhookPage(
                webhooks=tuple(webhook_view(row) for row in rows[:limit]),
                next_page_token=PAGED.token(rows[limit - 1].id) if len(rows) > limit else None,
            )

    def update(self, webhook_id: str, changes: dict[str, Any]) -> Webhook:
        """Set columns: url, description, event_types, enabled."""
        with self._database.transaction() as session:
            row = webhook_row(session, webhook_id, lock=True)
            changed = {
                name: value for name, value in changes.items() if getattr(row, name) != value
            }
            for name, value in changed.items():
                setattr(row, name, value)
            if changed:
                row.updated_at = self._now(session)
            session.flush()
            return webhook_view(row)

    def delete(self, webhook_id: str) -> None:
        """With its deliveries; one under way is not called back."""
        with self._database.transaction() as session:
            webhook_row(session, webhook_id)
            session.execute(delete(WebhookRow).where(WebhookRow.id == webhook_id))

    def rotate_secret(self, webhook_id: str) -> NewWebhook:
        """A new secret; what is sent is signed with the one before too for a day."""
        with self._database.transaction() as session:
            row = webhook_row(session, webhook_id, lock=True)
            now = self._now(session)
            row.earlier_secret, row.secret = row.secret, new_secret()
            row.earlier_secret_until = now + EARLIER_SECRET_GRACE
            row.updated_at = now
            session.flush()
            return webhook_with_secret(row)

    def add_trial(self, webhook_id: str) -> Delivery:
        """A `webhook.test`, due at once. Raises INVALID_ARGUMENT for a disabled webhook."""
        with self._database.transaction() as session:
            webhook = _enabled(webhook_row(session, webhook_id, lock=True))
            now = self._now(session)
            payload = TrialPayload(timestamp=now, data=TrialNotice(webhook_id=webhook_id))
            columns = new_delivery(
                webhook_id,
                event_type=TRIAL_EVENT_TYPE,
                payload=payload.model_dump_json(),
                now=now,
            )
            session.execute(insert(WebhookDeliveryRow).values(**columns))
            return delivery_view(delivery_row(session, webhook, columns["id"]))

    def deliveries(
        self,
        webhook_id: str,
        *,
        limit: int,
        token: str | None = None,
        state: DeliveryState | None = None,
        event_type: WebhookEventType | TrialEventType | None = None,
        job_id: str | None = None,
    ) -> DeliveryPage:
        """Each of the last three narrows the list."""
        paged = PagedList(
            "webhook deliveries",
            webhook_id=webhook_id,
            state=state,
            event_type=event_type,
            job_id=job_id,
        )
        query = (
            select(WebhookDeliveryRow)
            .where(WebhookDeliveryRow.webhook_id == webhook_id)
            .order_by(WebhookDeliveryRow.id.desc())
            .limit(limit + 1)
        )
        if token:
            query = query.where(WebhookDeliveryRow.id < paged.row_id(token, is_id=is_id))
        if state is not None:
            query = query.where(WebhookDeliveryRow.state == state)
        if event_type is not None:
            query = query.where(WebhookDeliveryRow.event_type == event_type)
        if job_id is not None:
            query = query.where(WebhookDeliveryRow.job_id == _checked_job_id(job_id))
        with self._database.read() as session:
            webhook_row(session, webhook_id)
            rows = session.scalars(query).all()
            return DeliveryPage(
                webhook_id=webhook_id,
                deliveries=tuple(delivery_view(row) for row in rows[:limit]),
                next_page_token=paged.token(rows[limit - 1].id) if len(rows) > limit else None,
            )

    def delivery(self, webhook_id: str, delivery_id: str) -> DeliveryDetail:
        with self._database.read() as session:
            return delivery_detail(
                session, delivery_row(session, webhook_row(session, webhook_id), delivery_id)
            )

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """The delivery, due at once, under the same id and with the same body.

        Its attempts count on, so one that was given up gets one more. Raises INVALID_ARGUMENT for a disabled
        webhook.
        """
        with self._database.transaction() as session:
            webhook = _enabled(webhook_row(session, webhook_id, lock=True))
            row = delivery_row(session, webhook, delivery_id, lock=True)
            row.state = DeliveryState.PENDING
            row.next_attempt_at = self._now(session)
            row.delivered_at = None
            session.flush()
            return delivery_view(row)

    def _now(self, session: Session) -> datetime:
        return self._clock().astimezone(UTC) if self._clock else self._database.now(session)


def _check_quota(session: Session) -> None:
    num_webhooks = session.scalar(select(func.count()).select_from(WebhookRow)) or 0
    if num_webhooks >= MAX_WEBHOOKS:
        raise DriftgateError(
            ErrorCode.QUOTA_EXCEEDED,
            f"There are {num_webhooks} webhooks; allowed: {MAX_WEBHOOKS}. Delete one first.",
            [Violation("webhooks", str(num_webhooks), f"at most {MAX_WEBHOOKS}")],
        )


def _enabled(row: WebhookRow) -> WebhookRow:
    if row.enabled:
        return row
    raise DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"Webhook {row.id} is disabled, so nothing is sent to it. Enable it first.",
        [Violation("enabled", "false", "true")],
    )


def _checked_job_id(job_id: str) -> str:
    if not is_id(job_id):
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"job_id is {job_id[:100]!r}; ids of jobs are 32 hexadecimal digits.",
            [Violation("job_id", job_id[:100], "the id of a job")],
        )
    return job_id
