"""The doorbell: a Celery message is permission to look for one job, and carries no state.

SQL is the truth. A message that is lost, doubled, late or out of order costs seconds, never a job:
workers look for work without one, and the reconciler rings again.
"""

import logging
import threading
from collections import Counter
from functools import lru_cache

from celery import Celery
from kombu.exceptions import ChannelError, KombuError
from kombu.transport import redis
from redis.exceptions import RedisError

from service.settings import Settings

logger = logging.getLogger(__name__)

TASK_NAME = "driftgate.run_next"
MESSAGE_LIFETIME_S = 300
# Every worker that hears a ring works until no job waits, and looks by itself every few seconds: beyond these,
# messages would wake nobody and only cost time.
MAX_RINGS = 64
MAX_RINGS_AT_ONCE = 8
GATHERING_S = 0.05
CONNECT_TIMEOUT_S = 2
# Of a broker that takes connections and does not answer. A worker's wait for a message is one of a second at a time.
ANSWER_TIMEOUT_S = 5

# All that a broker can do wrong; the thread that rings must outlive it.
BROKER_ERRORS = (KombuError, ChannelError, RedisError, OSError)


@lru_cache(maxsize=8)
def celery_app(settings: Settings) -> Celery:
    """The Celery application of these settings; tasks are registered by the worker."""
    app = Celery("driftgate", broker=settings.resolved_broker_url(), set_as_current=False)
    app.conf.update(
        # Acknowledged early: redelivery would run a job twice at once, and the claim makes it useless.
        task_acks_late=False,
        task_ignore_result=True,
        # With early acknowledgement a prefetched message waits behind a busy worker while others idle.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=settings.queue,
        task_create_missing_queues=True,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": ANSWER_TIMEOUT_S,
            # No acknowledgement goes to the broker. A late one, of a message from before a broker's death, finds its
            # connection gone, which kombu 5.7 answers with an AttributeError: it ends Celery and drains the worker.
            "ack_emulation": False,
            # For publishing: one more try at once, then an error. Kombu's own default is for ever.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
            "interval_max": 0,
        },
        worker_hijack_root_logger=False,
    )
    return app


def take_messages_for_good() -> None:
    """For a worker: what it has taken and not acknowledged is not put back when its connection closes.

    It carries nothing, and where the broker has just died, putting it back ends Celery as a late acknowledgement does.
    """
    redis.Channel.do_restore = False


class Doorbell:
    """Rings for queues from one background thread: at once after a quiet time, else what gathered meanwhile.

    Publishing costs more than the insert that it tells of, so a stream of jobs is told of in small batches.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._pending: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, queue: str, *, times: int = 1) -> None:
        """Let workers of the queue look for `times` jobs. Call after the commit; never raises or waits.

        Where the broker is away the ring is logged and dropped.
        """
        with self._changed:
            self._pending[queue] = min(self._pending[queue] + times, MAX_RINGS)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
            self._changed.notify()

    def num_waiting(self, queue: str) -> int | None:
        """Messages in the queue that no worker took yet; None where the broker is away."""
        try:
            with self._app.pool.acquire(block=True) as connection:
                channel = connection.default_channel
                return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except ChannelError:  # the queue was never rung, or is empty: Redis keeps no empty lists
            return 0
        except BROKER_ERRORS as error:
            logger.warning("the broker is away: %s", error)
            return None

    def close(self, *, timeout_s: float = 5) -> None:
        """Publish what waits, within the time."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing.is_set())
                if not self._pending:
                    return
                batch = {queue: self._take(queue) for queue in list(self._pending)}
            for queue, times in batch.items():
                self._publish(queue, times)
            self._closing.wait(GATHERING_S)  # not for a change: every ring would wake this thread

    def _take(self, queue: str) -> int:
        times = min(self._pending[queue], MAX_RINGS_AT_ONCE)
        self._pending[queue] -= times
        if not self._pending[queue]:
            del self._pending[queue]
        return times

    def _publish(self, queue: str, times: int) -> None:
        num_waiting = self.num_waiting(queue)
        if num_waiting is None or num_waiting >= MAX_RINGS:
            return
        try:
            for _ in range(times):
                self._app.send_task(
                    TASK_NAME, args=(queue,), queue=queue, expires=MESSAGE_LIFETIME_S, retry=False
                )
        except BROKER_ERRORS as error:
            logger.warning("could not ring queue %s, the reconciler will: %s", queue, error)
