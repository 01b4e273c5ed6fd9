"""What goes wrong in a run: a plan made from its seed, and the hands that carry it out."""

import heapq
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import redis

from service.errors import DriftgateError
from service.settings import Settings
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from service.task_queue import TASK_NAME, celery_app
from tests.chaos.databases import PostgresCluster, RunDatabase
from tests.chaos.deployment import LEASE_S, RECONCILERS, WORKERS, Deployment
from tests.chaos.scripted_training import WEIGHTS_FILE
from tests.chaos.webhook_receiver import WebhookReceiver

# A fault does its first part, says how long that lasts, and does the rest.
Fault = Generator[float, None, None]

DOWN_S = 0.3
STALL_S = 1.5
OUTAGE_S = 1.5
DISK_FULL_S = 1.5
AWAY_S = 1.5
STOPPED_S = 3 * LEASE_S
# For something to break, at most so often.
WAIT_S = 0.2
MAX_WAITS = 30
QUEUE = "default"
NUM_EXTRA_MESSAGES = 6


class Faults:
    """Used from one thread."""

    def __init__(
        self,
        deployment: Deployment,
        database: RunDatabase,
        receiver: WebhookReceiver,
        *,
        seed: int,
        now_s: Callable[[], float],
    ) -> None:
        self._deployment = deployment
        self._database = database
        self._receiver = receiver
        self._choices = random.Random(f"{seed} faults")
        self._now_s = now_s
        self._busy: set[str] = set()
        self.log: list[str] = []

    def inject(self, *, window_s: float) -> None:
        """Every fault of the plan, in an order and at times of the seed; returns when all are over."""
        kinds = list(self._kinds())
        self._choices.shuffle(kinds)
        began = time.monotonic()
        order = itertools.count()
        times = sorted(self._choices.uniform(0, window_s) for _ in kinds)
        due = [(began + at, next(order), kind()) for at, kind in zip(times, kinds, strict=True)]
        heapq.heapify(due)
        while due:
            at, _, fault = heapq.heappop(due)
            time.sleep(max(0.0, at - time.monotonic()))
            lasts_s = next(fault, None)
            if lasts_s is not None:
                heapq.heappush(due, (time.monotonic() + lasts_s, next(order), fault))

    def _kinds(self) -> Iterator[Callable[[], Fault]]:
        yield from (self._kill_child, self._kill_child, self._kill_worker, self._stop_worker)
        yield from (self._kill_api, self._kill_grpc, self._kill_broker, self._kill_reconciler)
        yield from (self._flush_broker, self._repeat_messages, self._fill_disk)
        yield from (self._corrupt_checkpoint, self._stall_database)
        yield from (self._kill_guard_or_nursery, self._lose_receiver)
        if isinstance(self._database, PostgresCluster):
            yield from (self._cut_database, self._crash_database)

    def _kill_child(self) -> Fault:
        for _ in range(MAX_WAITS):
            children = self._deployment.children_of_attempts()
            if children:
                pid, job_id = self._choices.choice(children)
                self._note(f"kill -9 of child {pid} of job {job_id}")
                _signal(pid, signal.SIGKILL)
                return
            yield WAIT_S

    def _kill_guard_or_nursery(self) -> Fault:
        """The parent of an attempt's child, or that one's: without a nursery a child is executed anew."""
        found = self._deployment.guards_and_nurseries()
        if found:
            pid = self._choices.choice(found)
            self._note(f"kill -9 of guard or nursery {pid}")
            _signal(pid, signal.SIGKILL)
        yield 0

    def _lose_receiver(self) -> Fault:
        self._note("the webhook's receiver is away")
        self._receiver.is_away.set()
        yield AWAY_S
        self._note("the webhook's receiver is back")
        self._receiver.is_away.clear()

    def _kill_worker(self) -> Fault:
        return self._kill(WORKERS)

    def _kill_api(self) -> Fault:
        return self._kill(["api"])

    def _kill_grpc(self) -> Fault:
        return self._kill(["grpc"])

    def _kill_broker(self) -> Fault:
        return self._kill(["broker"])

    def _kill_reconciler(self) -> Fault:
        return self._kill(RECONCILERS)

    def _kill(self, names: Iterator[str] | tuple[str, ...] | list[str]) -> Fault:
        name = self._free_one(names)
        self._note(f"kill -9 of {name}")
        self._deployment.kill(name)
        yield DOWN_S
        self._deployment.start(name)
        self._busy.discard(name)

    def _stop_worker(self) -> Fault:
        """While a child of it works on, whose job is then another's."""
        name = self._free_one(WORKERS)
        for _ in range(MAX_WAITS):
            if self._deployment.children_of_attempts(worker=name):
                break
            yield WAIT_S
        self._note(f"SIGSTOP of {name}")
        self._deployment.signal(name, signal.SIGSTOP)
        yield STOPPED_S
        self._note(f"SIGCONT of {name}")
        self._deployment.signal(name, signal.SIGCONT)
        self._busy.discard(name)

    def _flush_broker(self) -> Fault:
        self._note("FLUSHALL of the broker")
        with suppress(redis.RedisError), self._broker() as broker:
            broker.flushall()
        yield 0

    def _repeat_messages(self) -> Fault:
        """What waits, once more and in another order, and some that tell of nothing."""
        self._note("messages doubled and shuffled")
        settings = Settings(broker_url=self._deployment.address.broker_url)
        with suppress(Exception), self._broker() as broker:
            for _ in range(NUM_EXTRA_MESSAGES):
                celery_app(settings).send_task(TASK_NAME, args=(QUEUE,), queue=QUEUE, retry=False)
            waiting = broker.lrange(QUEUE, 0, -1) * 2
            self._choices.shuffle(waiting)
            if waiting:
                broker.rpush(QUEUE, *waiting)
        yield 0

    def _fill_disk(self) -> Fault:
        self._note("the disk is full for checkpoints")
        self._deployment.disk_full_file.touch()
        yield DISK_FULL_S
        self._note("the disk has room")
        self._deployment.disk_full_file.unlink(missing_ok=True)

    def _corrupt_checkpoint(self) -> Fault:
        """The newest of a job that trains; its child stands still meanwhile and is killed, so that it comes to be read."""
        for _ in range(MAX_WAITS):
            for pid, job_id in self._deployment.children_of_attempts():
                _signal(pid, signal.SIGSTOP)
                folder = self._newest_checkpoint(job_id)
                if folder is not None:
                    self._note(
                        f"a byte of {folder.name} of job {job_id} flipped, child {pid} killed"
                    )
                    with suppress(OSError):
                        _flip_byte(folder / WEIGHTS_FILE, self._choices)
                    _signal(pid, signal.SIGKILL)
                    return
                _signal(pid, signal.SIGCONT)
            yield WAIT_S

    def _stall_database(self) -> Fault:
        self._note("the database stalls")
        self._database.begin_stall()
        yield STALL_S
        self._note("the database goes on")
        self._database.end_stall()

    def _cut_database(self) -> Fault:
        self._note("the database cuts and refuses connections")
        self._database.begin_outage()
        yield OUTAGE_S
        self._note("the database is back")
        self._database.end_outage()

    def _crash_database(self) -> Fault:
        self._note("the database server is killed and started")
        self._database.end_faults()
        self._database.crash()
        yield 0

    def _newest_checkpoint(self, job_id: str) -> Path | None:
        """None where it is the final one: nothing would read that again."""
        database = Database(self._database.url)
        try:
            newest = next(iter(ResultStore(database).latest_checkpoints(job_id)), None)
        except DriftgateError:  # the database is what fails at the moment
            return None
        finally:
            database.close()
        return None if newest is None or newest.final else Path(newest.uri)

    def _free_one(self, names: Iterator[str] | tuple[str, ...] | list[str]) -> str:
        """Not one that another fault has in its hands."""
        name = self._choices.choice([name for name in names if name not in self._busy] or [*names])
        self._busy.add(name)
        return name

    def _broker(self) -> redis.Redis:
        return redis.Redis(port=self._deployment.address.broker_port, socket_timeout=2)

    def _note(self, said: str) -> None:
        self.log.append(f"{self._now_s():7.3f}  {said}")


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _flip_byte(path: Path, choices: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[choices.randrange(len(content))] ^= 0xFF
    path.write_bytes(content)
