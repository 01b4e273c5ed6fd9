"""Rows of webhooks and deliveries become what clients read; an id that is none is refused."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.webhooks import (
    TRIAL_EVENT_TYPE,
    Delivery,
    DeliveryAttempt,
    DeliveryDetail,
    DeliveryState,
    NewWebhook,
    TrialEventType,
    Webhook,
    WebhookEventType,
)
from service.storage.row_ids import is_id
from service.storage.tables import WebhookAttemptRow, WebhookDeliveryRow, WebhookRow


def webhook_row(session: Session, webhook_id: str, *, lock: bool = False) -> WebhookRow:
    """The row, locked against other changes of it if asked. Raises RESOURCE_NOT_FOUND."""
    query = select(WebhookRow).where(WebhookRow.id == webhook_id)
    # FOR NO KEY UPDATE: transactions that write deliveries of the webhook need not wait.
    locked = query.with_for_update(key_share=True) if lock else query
    # An id of another form never reaches the database: PostgreSQL refuses NUL in text.
    row = session.scalars(locked).first() if is_id(webhook_id) else None
    if row is None:
        raise _not_found("webhook", webhook_id)
    return row


def delivery_row(
    session: Session, webhook: WebhookRow, delivery_id: str, *, lock: bool = False
) -> WebhookDeliveryRow:
    """The row, locked if asked. Raises RESOURCE_NOT_FOUND, also where it is another webhook's."""
    query = select(WebhookDeliveryRow).where(
        WebhookDeliveryRow.id == delivery_id, WebhookDeliveryRow.webhook_id == webhook.id
    )
    locked = query.with_for_update() if lock else query
    row = session.scalars(locked).first() if is_id(delivery_id) else None
    if row is None:
        raise _not_found("delivery", delivery_id)
    return row


def webhook_view(row: WebhookRow) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        description=row.description,
        event_types=tuple(WebhookEventType(one) for one in row.event_types),
        enabled=row.enabled,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def webhook_with_secret(row: WebhookRow) -> NewWebhook:
    return NewWebhook(
        **dict(webhook_view(row)),
        secret=row.secret,
        earlier_secret_until=row.earlier_secret_until,
    )


def delivery_view(row: WebhookDeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        job_id=row.job_id,
        event_seq=row.event_seq,
        event_type=_event_type(row.event_type),
        state=DeliveryState(row.state),
        num_attempts=row.num_attempts,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
    )


def delivery_detail(session: Session, row: WebhookDeliveryRow) -> DeliveryDetail:
    attempts = session.scalars(
        select(WebhookAttemptRow)
        .where(WebhookAttemptRow.delivery_id == row.id)
        .order_by(WebhookAttemptRow.number)
    )
    return DeliveryDetail(
        **dict(delivery_view(row)),
        payload=json.loads(row.payload),
        attempts=tuple(
            DeliveryAttempt(
                number=attempt.number,
                at=attempt.at,
                http_status=attempt.http_status,
                error=attempt.error,
                seconds=attempt.seconds,
            )
            for attempt in attempts
        ),
    )


def _event_type(stored: str) -> WebhookEventType | TrialEventType:
    return TRIAL_EVENT_TYPE if stored == TRIAL_EVENT_TYPE else WebhookEventType(stored)


def _not_found(what: str, given: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.RESOURCE_NOT_FOUND,
        f"There is no {what} {given[:100]!r}. Ids are 32 hexadecimal digits, as the list of them shows.",
        [Violation(f"{what}_id", given[:100], f"the id of a {what}")],
    )
