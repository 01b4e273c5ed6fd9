"""Waiting for the end of a job: the service is asked to answer when the job changes."""

import math
import time
from collections.abc import Callable

import httpx

from service.client_http import PASSING_ERRORS, Connection, job_path, read
from service.jobs.results import Job
from service.jobs.state import TERMINAL_STATES

# The server holds an answer at most this long back; proxies between may cut longer waits.
LONG_POLL_S = 30.0


class WaitingCalls(Connection):
    """Outlasts restarts of the service."""

    def wait(
        self,
        job_id: str,
        *,
        poll_s: float = 0.5,
        timeout_s: float | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> Job:
        """The job once it has ended, however it ended. Raises TimeoutError after `timeout_s`.

        `on_change` is given the job at first and after every change that an answer shows. No two requests
        begin within `poll_s`, which is also how often a service is asked that always answers at once.
        Within the timeout the service may be away for any time.
        """
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        seen: Job | None = None
        etag: str | None = None
        while True:
            asked_at = time.monotonic()
            response = self._ask_for_change(
                job_id, etag=etag, remaining_s=max(deadline - asked_at, 0.0)
            )
            if response.status_code != httpx.codes.NOT_MODIFIED:
                job, etag = read(response, Job), response.headers.get("ETag")
                if on_change is not None and job != seen:
                    on_change(job)
                seen = job
            assert seen is not None, "304 answers only a request with an ETag"
            if seen.state in TERMINAL_STATES:
                return seen
            if time.monotonic() >= deadline:
                raise TimeoutError(f"job {job_id} is still {seen.state} after {timeout_s:g} s")
            pause_s = min(asked_at + poll_s, deadline) - time.monotonic()
            time.sleep(max(pause_s, 0.0))

    def _ask_for_change(
        self, job_id: str, *, etag: str | None, remaining_s: float
    ) -> httpx.Response:
        """The job, or 304 where it is still that of the ETag."""
        headers: dict[str, str] = {}
        hold_s = 0
        if etag is not None:
            hold_s = math.floor(min(LONG_POLL_S, remaining_s))
            headers = {"If-None-Match": etag, "Prefer": f"wait={hold_s}"}
        request = self._request(
            "GET", job_path(job_id), headers=headers, timeout_s=self._timeout_s + hold_s
        )
        try:
            return self._repeat(request, for_s=remaining_s)
        except PASSING_ERRORS as error:
            raise TimeoutError(
                f"{request.url.host} does not answer within {remaining_s:.3g} s: {error}"
            ) from error
