"""The outbox: what webhooks are to be told is written in the transaction of the event itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import exists, insert, select

from service.jobs.spec import JobKind
from service.jobs.state import JobState
from service.jobs.webhooks import (
    MAX_FAILURE_CHARACTERS,
    TOLD_STATES,
    DeliveryState,
    FailureNotice,
    JobNotice,
    JobPayload,
)
from service.storage.row_ids import new_id
from service.storage.sessions import Transaction
from service.storage.tables import JobRow, WebhookDeliveryRow, WebhookRow

# Rides on the insert of the event: where no webhook listens, the outbox costs no statement of its own.
SOMEONE_LISTENS = exists(select(WebhookRow.id).where(WebhookRow.enabled))


def add_deliveries(
    session: Transaction, job_id: str, *, event_seq: int, state: JobState, now: datetime
) -> None:
    """One pending delivery for each webhook that wants to know that the job is now in `state`."""
    event_type = TOLD_STATES.get(state)
    if event_type is None:
        return
    # FOR KEY SHARE: a webhook that is being deleted is waited for, not referred to.
    listening = session.execute(
        select(WebhookRow.id, WebhookRow.event_types)
        .where(WebhookRow.enabled)
        .with_for_update(read=True, key_share=True)
    )
    webhook_ids = [row.id for row in listening if event_type in row.event_types]
    if webhook_ids:
        payload = JobPayload(
            type=event_type, timestamp=now, data=_notice(session, job_id, event_seq=event_seq)
        ).model_dump_json()
        session.execute(
            insert(WebhookDeliveryRow),
            [
                new_delivery(
                    webhook_id,
                    event_type=event_type,
                    payload=payload,
                    now=now,
                    job_id=job_id,
                    event_seq=event_seq,
                )
                for webhook_id in webhook_ids
            ],
        )


def new_delivery(
    webhook_id: str,
    *,
    event_type: str,
    payload: str,
    now: datetime,
    job_id: str | None = None,
    event_seq: int | None = None,
) -> dict[str, Any]:
    """The columns of a delivery that is due at once."""
    return {
        "id": new_id(),
        "webhook_id": webhook_id,
        "job_id": job_id,
        "event_seq": event_seq,
        "event_type": event_type,
        "payload": payload,
        "state": DeliveryState.PENDING,
        "num_attempts": 0,
        "next_attempt_at": now,
        "created_at": now,
    }


def _notice(session: Transaction, job_id: str, *, event_seq: int) -> JobNotice:
    job = session.execute(
        select(
            JobRow.name,
            JobRow.kind,
            JobRow.labels,
            JobRow.state,
            JobRow.lease_epoch,
            JobRow.version,
            JobRow.failure,
        ).where(JobRow.id == job_id)
    ).one()
    failure = job.failure and FailureNotice(
        code=job.failure["code"], message=job.failure["message"][:MAX_FAILURE_CHARACTERS]
    )
    return JobNotice(
        job_id=job_id,
        name=job.name,
        kind=JobKind(job.kind),
        labels=job.labels,
        state=JobState(job.state),
        attempt=job.lease_epoch,
        event_seq=event_seq,
        job_version=job.version,
        failure=failure or None,
    )
