"""The Python client: jobs over REST, answered in the types of `service.jobs`.

A refusal of the service raises the DriftgateError that the service raised; an unreachable one raises
httpx's own errors. Streams, retries and batches are left out.
"""

import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.comparisons import Comparison, SamplePlan
from service.jobs.results import (
    DriftMap,
    Job,
    JobCheckpoints,
    JobEventPage,
    JobMetrics,
    JobPage,
    JobResults,
    SamplePage,
    VerdictChanges,
)
from service.jobs.spec import AnyJobSpec
from service.jobs.state import TERMINAL_STATES, JobState

Answer = TypeVar("Answer", bound=BaseModel)
QueryValue = str | float | Sequence[str]


class Client:
    """One service at `base_url`, such as `http://127.0.0.1:8400`; closes with its `with` block.

    `timeout_s` is that of one request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=timeout_s,
            transport=transport,
            # A proxy of the environment has no business between a machine and itself.
            trust_env=not _is_loopback(httpx.URL(base_url).host),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(self, spec: AnyJobSpec, *, idempotency_key: str | None = None) -> Job:
        """The queued job; for a key that was used before, the job of that time."""
        response = self._http.post(
            "v1/jobs",
            json=spec.model_dump(mode="json"),
            headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
        )
        return _read(response, Job)

    def get(self, job_id: str) -> Job:
        return self._get(_path(job_id), Job)

    def list(
        self,
        *,
        states: Iterable[JobState] = (),
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> JobPage:
        """One page, newest first; its `next_page_token` asks for the next."""
        return self._get(
            "v1/jobs",
            JobPage,
            state=[state.value for state in states],
            page_size=page_size,
            page_token=page_token,
        )

    def cancel(self, job_id: str) -> Job:
        """The job, cancelled or about to be; a job that has ended otherwise raises JOB_STATE_CONFLICT."""
        return _read(self._http.post(_path(job_id, ":cancel")), Job)

    def wait(
        self,
        job_id: str,
        *,
        poll_s: float = 1.0,
        timeout_s: float | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Job:
        """The job once it has ended, however it ended. Raises TimeoutError after `timeout_s`.

        `on_change` is given the job at first and after every change that a poll sees.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        seen: Job | None = None
        while True:
            job = self.get(job_id)
            if on_change is not None and job != seen:
                on_change(job)
            if job.state in TERMINAL_STATES:
                return job
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"job {job_id} is still {job.state} after {timeout_s:g} s")
            seen = job
            time.sleep(poll_s)

    def events(self, job_id: str, *, after: int = 0, limit: int | None = None) -> JobEventPage:
        return self._get(_path(job_id, "/events"), JobEventPage, after=after, limit=limit)

    def metrics(
        self, job_id: str, *, names: Iterable[str] = (), after_update: int = 0
    ) -> JobMetrics:
        """The named metrics, or all of them, of the updates after `after_update`."""
        return self._get(
            _path(job_id, "/metrics"), JobMetrics, names=[*names], after_update=after_update
        )

    def drift_map(self, job_id: str, *, after_update: int = 0) -> DriftMap:
        return self._get(_path(job_id, "/drift-map"), DriftMap, after_update=after_update)

    def results(self, job_id: str, *, include_problems: bool = False) -> JobResults:
        """The evaluations so far; `include_problems` adds the counts of every problem."""
        include = ["problems"] if include_problems else []
        return self._get(_path(job_id, "/results"), JobResults, include=include)

    def samples(
        self,
        job_id: str,
        *,
        stage: str | None = None,
        benchmark: str | None = None,
        problem_id: str | None = None,
        verdict: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> SamplePage:
        """One page; its `next_page_token` asks for the next."""
        return self._get(
            _path(job_id, "/samples"),
            SamplePage,
            stage=stage,
            benchmark=benchmark,
            problem_id=problem_id,
            verdict=verdict,
            page_size=page_size,
            page_token=page_token,
        )

    def verdict_changes(self, job_id: str) -> VerdictChanges:
        """Of a regrade; another job raises INVALID_ARGUMENT."""
        return self._get(_path(job_id, "/verdict-changes"), VerdictChanges)

    def compare(
        self, job_ids: Sequence[str], *, k: int | None = None, stage: str | None = None
    ) -> Comparison:
        """The jobs against the first of them."""
        return self._get("v1/comparisons", Comparison, job_id=[*job_ids], k=k, stage=stage)

    def sample_plan(
        self,
        job_id: str,
        *,
        difference: float,
        power: float | None = None,
        k: int | None = None,
        stage: str | None = None,
    ) -> SamplePlan:
        """Samples a problem that would resolve the difference, from those that the job has."""
        return self._get(
            _path(job_id, "/sample-plan"),
            SamplePlan,
            difference=difference,
            power=power,
            k=k,
            stage=stage,
        )

    def checkpoints(self, job_id: str) -> JobCheckpoints:
        return self._get(_path(job_id, "/checkpoints"), JobCheckpoints)

    def _get(self, path: str, answer_type: type[Answer], **query: QueryValue | None) -> Answer:
        given = {name: value for name, value in query.items() if value is not None}
        return _read(self._http.get(path, params=given), answer_type)


def _path(job_id: str, part: str = "") -> str:
    return f"v1/jobs/{quote(job_id, safe='')}{part}"


def _read(response: httpx.Response, answer_type: type[Answer]) -> Answer:
    if response.is_success:
        return answer_type.model_validate_json(response.content)
    raise _refusal(response)


def _refusal(response: httpx.Response) -> DriftgateError:
    """The error of a problem-details body; INTERNAL for an answer that is none, such as a proxy's."""
    try:
        problem = response.json()
        code, detail = problem["code"], problem["detail"]
        violations = [Violation(**violation) for violation in problem.get("violations", ())]
    except (ValueError, KeyError, TypeError, AttributeError):
        return DriftgateError(
            ErrorCode.INTERNAL,
            f"{response.request.url} answered {response.status_code} without problem details.",
        )
    if code not in set(ErrorCode):
        return DriftgateError(ErrorCode.INTERNAL, f"{code}: {detail}", violations)
    return DriftgateError(ErrorCode(code), detail, violations)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
