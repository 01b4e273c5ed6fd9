"""Sends what waits in the outbox: claimed, signed, posted, and tried again with growing waits."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from http import HTTPStatus
from importlib.metadata import version as installed_version

import httpx

from service.errors import DriftgateError, ErrorCode
from service.storage.webhook_queue import (
    MAX_REMOVED_AT_ONCE,
    AttemptEnd,
    DueDelivery,
    WaitingWebhook,
    WebhookQueue,
)
from service.webhook_request import TOTAL_TIMEOUT_S, Answer, Resolver, post, resolve_by_system
from service.webhook_signature import signed_headers
from service.webhook_targets import parse_target

# The wait after each attempt that failed; after the last one the delivery is given up, 32 hours on.
RETRY_WAITS_S = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400)
MAX_ATTEMPTS = len(RETRY_WAITS_S) + 1
JITTER = 0.2  # a wait is up to this much longer, so that receivers do not meet all retries at once
MAX_RETRY_AFTER_S = 86_400.0
ASKS_TO_WAIT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

NUM_THREADS = 16
MAX_AT_ONCE_PER_HOST = 4
POLL_INTERVAL_S = 1.0
REMOVE_OLD_EVERY_S = 600.0
# An attempt's timeout, the time a resolver may take, and some for the database.
LEASE_S = TOTAL_TIMEOUT_S + 50.0

logger = logging.getLogger(__name__)


class Deliverer:
    """Several may run at once, in one process or in many: a delivery belongs to who claimed it.

    One receiver holds at most `MAX_AT_ONCE_PER_HOST` of the threads, so that a dead one delays no other.
    resolve: the addresses of a name. jitter: numbers from 0 to 1. clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        webhook_queue: WebhookQueue,
        allow_private: bool,
        resolve: Resolver = resolve_by_system,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        self._webhook_queue = webhook_queue
        self._allow_private = allow_private
        self._resolve = resolve
        self._jitter = jitter
        self._clock = clock
        self._timeout_s = timeout_s
        # SSL_CERT_FILE is heeded, as everywhere; proxies of the environment are not.
        self._ssl_context = httpx.create_ssl_context()
        self._user_agent = f"driftgate-webhooks/{installed_version('driftgate')}"
        self._pool = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._num_under_way: Counter[str] = Counter()
        self._something_ended = threading.Event()
        self._old_removed_at: float | None = None

    def run_once(self) -> int:
        """Deliver what is due now, as far as threads are free; how many attempts that were."""
        attempts = self.start_due()
        wait(attempts)
        for attempt in attempts:
            attempt.result()
        return len(attempts)

    def run_forever(self, stop: threading.Event) -> None:
        """Ends after the attempts that are under way."""
        while not stop.is_set():
            self._something_ended.clear()
            try:
                self.start_due()
                self._remove_old_now_and_then()
            except DriftgateError as error:
                if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                    raise
                logger.warning("no deliveries: %s", error.message)
                stop.wait(POLL_INTERVAL_S)
            self._something_ended.wait(POLL_INTERVAL_S)
        self.close()

    def start_due(self) -> list[Future[None]]:
        """Attempts that have begun, in threads; a lost one is due again after its lease."""
        waiting = self._webhook_queue.waiting_webhooks()
        random.shuffle(waiting)  # where there are fewer threads than receivers, each has its turn
        return [attempt for webhook in waiting for attempt in self._start(webhook)]

    def close(self) -> None:
        self._pool.shutdown()

    def _start(self, webhook: WaitingWebhook) -> list[Future[None]]:
        host = _host(webhook.url)
        with self._lock:
            num_free = min(
                NUM_THREADS - self._num_under_way.total(),
                MAX_AT_ONCE_PER_HOST - self._num_under_way[host],
            )
        if num_free <= 0:
            return []
        attempts = []
        for due in self._webhook_queue.claim(webhook.id, limit=num_free, lease_s=LEASE_S):
            with self._lock:
                self._num_under_way[host] += 1
            attempt = self._pool.submit(self._attempt_and_make_room, host, webhook.url, due)
            attempt.add_done_callback(_log_defect)
            attempts.append(attempt)
        return attempts

    def _attempt_and_make_room(self, host: str, url: str, due: DueDelivery) -> None:
        try:
            self._attempt(url, due)
        finally:
            with self._lock:
                self._num_under_way[host] -= 1
                self._num_under_way += Counter()  # drops what is zero
            self._something_ended.set()

    def _attempt(self, url: str, due: DueDelivery) -> None:
        body = due.payload.encode()
        answer = post(
            url,
            body,
            self._headers(body, due),
            resolve=self._resolve,
            allow_private=self._allow_private,
            ssl_context=self._ssl_context,
            timeout_s=self._timeout_s,
        )
        end = AttemptEnd(answer.http_status, answer.error, answer.seconds)
        if answer.error is None:
            self._webhook_queue.delivered(due, end)
        elif answer.http_status == HTTPStatus.GONE:
            logger.warning("webhook %s is disabled: its receiver answered 410", due.webhook_id)
            self._webhook_queue.give_up_webhook(due, end)
        elif due.number >= MAX_ATTEMPTS:
            self._webhook_queue.give_up(due, end)
        else:
            after_s = wait_before_retry_s(due.number, answer, jitter=self._jitter())
            self._webhook_queue.try_again(due, end, after_s=after_s)

    def _headers(self, body: bytes, due: DueDelivery) -> dict[str, str]:
        signed = signed_headers(
            body,
            delivery_id=due.id,
            timestamp_s=int(due.claimed_at.timestamp()),
            secrets_in_force=due.secrets,
        )
        return {**signed, "Content-Type": "application/json", "User-Agent": self._user_agent}

    def _remove_old_now_and_then(self) -> None:
        now_s = self._clock()
        is_time = self._old_removed_at is None or now_s - self._old_removed_at >= REMOVE_OLD_EVERY_S
        if is_time and self._webhook_queue.remove_old() < MAX_REMOVED_AT_ONCE:
            self._old_removed_at = now_s


def wait_before_retry_s(num_attempts: int, answer: Answer, *, jitter: float) -> float:
    """As the schedule says after so many attempts, longer where the receiver asks for it (429, 503).

    jitter: from 0 to 1.
    """
    scheduled_s = RETRY_WAITS_S[num_attempts - 1] * (1 + JITTER * jitter)
    if answer.http_status in ASKS_TO_WAIT and answer.retry_after_s is not None:
        return max(scheduled_s, min(answer.retry_after_s, MAX_RETRY_AFTER_S))
    return scheduled_s


def _log_defect(attempt: Future[None]) -> None:
    defect = attempt.exception()
    if defect is not None:
        logger.error("a delivery is tried again after its lease", exc_info=defect)


def _host(url: str) -> str:
    """What counts as one receiver. Stored urls were checked, and allowing private ones changes no host."""
    return parse_target(url, allow_private=True).host
