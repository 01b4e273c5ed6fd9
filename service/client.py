"""The Python client: everything that REST has, answered in the types of `service.jobs`.

A refusal of the service raises the DriftgateError that the service raised; an unreachable one raises
httpx's own errors. Requests that may arrive twice are sent again while the service is busy or away.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from service.client_api_keys import ApiKeyCalls
from service.client_catalogues import CatalogueCalls
from service.client_checkpoints import CheckpointCalls
from service.client_datasets import DatasetCalls
from service.client_http import job_path, read
from service.client_results import ResultCalls
from service.client_streams import StreamCalls
from service.client_studies import StudyCalls
from service.client_waiting import WaitingCalls
from service.client_webhooks import WebhookCalls
from service.jobs.job_queries import JobOrder
from service.jobs.patches import JobPatch
from service.jobs.plans import Plan
from service.jobs.results import (
    Job,
    JobAttempts,
    JobBatch,
    JobChanges,
    JobEvent,
    JobEventPage,
    JobPage,
)
from service.jobs.spec import AnyJobSpec, JobKind
from service.jobs.state import JobState
from service.webhook_signature import InvalidSignatureError, verify_webhook

__all__ = ["Client", "InvalidSignatureError", "SpecToSend", "verify_webhook"]

SpecToSend = AnyJobSpec | Mapping[str, object]


class Client(
    WaitingCalls,
    StreamCalls,
    ResultCalls,
    StudyCalls,
    CheckpointCalls,
    DatasetCalls,
    WebhookCalls,
    ApiKeyCalls,
    CatalogueCalls,
):
    """One service; threads may share a client. See `client_http.Connection` for its arguments."""

    def submit(self, spec: SpecToSend, *, idempotency_key: str | None = None) -> Job:
        """The queued job; for a key that was used before, the job of that time.

        Without a key it gets one of its own, so that a lost answer does not make two jobs.
        """
        request = self._request(
            "POST",
            "v1/jobs",
            json=_body(spec),
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
        )
        return read(self._repeat(request), Job)

    def plan(self, spec: SpecToSend) -> Plan:
        """What the spec would take; creates nothing. Raises what `submit` would."""
        request = self._request(
            "POST", "v1/jobs", query={"validate_only": "true"}, json=_body(spec)
        )
        return read(self._repeat(request), Plan)

    def check_health(self) -> None:
        """Raises httpx's error at once where nothing answers; says nothing about jobs or workers."""
        self._once(self._request("GET", "healthz"))

    def get(self, job_id: str) -> Job:
        return self._get(job_path(job_id), Job)

    def get_batch(self, job_ids: Iterable[str]) -> JobBatch:
        """Those of the jobs that are there, in this order; a hundred ids at most."""
        return self._get("v1/jobs:batchGet", JobBatch, job_id=[*job_ids])

    def list(
        self,
        *,
        states: Iterable[JobState] = (),
        kinds: Iterable[JobKind] = (),
        labels: Mapping[str, str] | None = None,
        model: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        order_by: JobOrder | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> JobPage:
        """One page, newest first unless ordered otherwise; its `next_page_token` asks for the next.

        Every argument narrows the list. labels: all of them, equal. Times have a time zone.
        """
        return self._get(
            "v1/jobs",
            JobPage,
            state=[state.value for state in states],
            kind=[kind.value for kind in kinds],
            label=[f"{key}={value}" for key, value in (labels or {}).items()],
            model=model,
            created_from=_rfc_3339(created_from),
            created_before=_rfc_3339(created_before),
            order_by=order_by,
            page_size=page_size,
            page_token=page_token,
        )

    def iterate(
        self,
        *,
        states: Iterable[JobState] = (),
        kinds: Iterable[JobKind] = (),
        labels: Mapping[str, str] | None = None,
        model: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        order_by: JobOrder | None = None,
        page_size: int | None = None,
    ) -> Iterator[Job]:
        """The jobs of all pages of a list; a page is fetched when its first job is asked for."""
        states, kinds, page_token = tuple(states), tuple(kinds), None
        while True:
            page = self.list(
                states=states,
                kinds=kinds,
                labels=labels,
                model=model,
                created_from=created_from,
                created_before=created_before,
                order_by=order_by,
                page_size=page_size,
                page_token=page_token,
            )
            yield from page.jobs
            page_token = page.next_page_token
            if page_token is None:
                return

    def changes(
        self, *, after: str | None = None, page_size: int | None = None, wait_s: int = 0
    ) -> JobChanges:
        """Jobs that changed after the token; without one, nothing but the token of now.

        wait_s: how long the service may hold an empty answer back until there is a change.
        """
        request = self._request(
            "GET",
            "v1/jobs:changes",
            query={"after": after, "page_size": page_size},
            headers={"Prefer": f"wait={wait_s}"} if wait_s else {},
            timeout_s=self._timeout_s + wait_s,
        )
        return read(self._repeat(request), JobChanges)

    def patch(
        self,
        job_id: str,
        *,
        labels: Mapping[str, str | None] | None = None,
        priority: int | None = None,
        if_version: int | None = None,
    ) -> Job:
        """The job with these labels set or, where None, removed. What is not named stays as it is.

        Raises VERSION_CONFLICT where the job's version is not `if_version`.
        """
        patch = JobPatch(labels=None if labels is None else dict(labels), priority=priority)
        body = patch.model_dump(mode="json")
        request = self._request(
            "PATCH",
            job_path(job_id),
            json={name: value for name, value in body.items() if value is not None},
            headers={} if if_version is None else {"If-Match": f'"{if_version}"'},
        )
        # With a version a second arrival would be refused although the first had succeeded.
        response = self._repeat(request) if if_version is None else self._once(request)
        return read(response, Job)

    def cancel(self, job_id: str) -> Job:
        """The job, cancelled or about to be; a job that has ended otherwise raises JOB_STATE_CONFLICT."""
        return self._tell(job_id, ":cancel")

    def pause(self, job_id: str) -> Job:
        """The job, paused or about to be once its worker has saved it."""
        return self._tell(job_id, ":pause")

    def resume(self, job_id: str) -> Job:
        """The job, waiting again; one that was about to pause goes on."""
        return self._tell(job_id, ":resume")

    def delete(self, job_id: str) -> None:
        """Removes an ended job with all that it made. Deleting it again changes nothing."""
        self._repeat(self._request("DELETE", job_path(job_id)))

    def events(self, job_id: str, *, after: int = 0, limit: int | None = None) -> JobEventPage:
        """The history after the seq `after`, oldest first; its `next_after` asks for what follows."""
        return self._get(job_path(job_id, "/events"), JobEventPage, after=after, limit=limit)

    def iterate_events(self, job_id: str) -> Iterator[JobEvent]:
        """The whole history until now, oldest first; see `stream_events` for what follows."""
        after = 0
        while events := (page := self.events(job_id, after=after)).events:
            yield from events
            after = page.next_after

    def attempts(self, job_id: str) -> JobAttempts:
        return self._get(job_path(job_id, "/attempts"), JobAttempts)

    def _tell(self, job_id: str, verb: str) -> Job:
        return read(self._repeat(self._request("POST", job_path(job_id, verb))), Job)


def _body(spec: SpecToSend) -> object:
    """A spec as it was written is sent as it is: the service names what is wrong with it."""
    return dict(spec) if isinstance(spec, Mapping) else spec.model_dump(mode="json")


def _rfc_3339(time: datetime | None) -> str | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone; datetime.now(UTC) has one")
    return time.isoformat()
