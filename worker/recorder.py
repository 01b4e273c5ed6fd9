"""Writes what an attempt measures, in batches, in the order in which it happened, under the fence."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import (
    AttemptEvent,
    CheckpointRecord,
    EvaluationRecord,
    GradientFidelityRecord,
    PromptOverlapRecord,
    ReverseKlRecord,
    SampleBatchRecord,
    UpdateRecord,
)
from service.jobs.state import JobPhase
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from worker.database_outage import outlast_outage
from worker.spool import Single, Spool, Write

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_S = 1.0
MAX_RETRY_INTERVAL_S = 30.0
MAX_UPDATES_PER_WRITE = 256


class Recorder:
    """A queue of writes. While the database is away they wait on disk, or in memory where the disk is full.

    The row of a checkpoint is its commit point, so it is written only after every write before it: an
    attempt that resumes there finds the metrics up to there. What a killed attempt had not written
    lies after its last committed checkpoint and is computed again, to the same values.
    Any call may raise LEASE_LOST, and SpoolDamagedError after an outage.
    """

    def __init__(
        self, *, job_store: JobStore, result_store: ResultStore, lease: Lease, spool: Spool
    ) -> None:
        self._job_store = job_store
        self._result_store = result_store
        self._lease = lease
        self._spool = spool
        self._waiting: deque[Write] = deque()  # after those in the spool
        self._next_flush_at = time.monotonic()  # the first update shows at once that the job moves
        self._retry_at = time.monotonic()
        self._retry_interval_s = FLUSH_INTERVAL_S

    def record_update(self, record: UpdateRecord) -> None:
        """Written with its neighbours, about once a second; the update ended now."""
        self._wait_in_line(replace(record, at=datetime.now(UTC)))
        if time.monotonic() >= self._next_flush_at:
            self.flush()

    def record_now(self, record: Single) -> bool:
        """Whether it is written by now; where not, it will be."""
        self._wait_in_line(record)
        return time.monotonic() >= self._retry_at and self.flush()

    def flush(self) -> bool:
        """One try to write what waits; False, and nothing lost, where the database is away."""
        try:
            self._write_waiting()
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            self._move_to_spool()
            logger.warning("%d writes wait: %s", self._num_waiting(), error.message)
            # A try may last as long as a connection takes to time out: they become rarer.
            self._retry_interval_s = min(MAX_RETRY_INTERVAL_S, 2 * self._retry_interval_s)
            self._retry_at = self._next_flush_at = time.monotonic() + self._retry_interval_s
            return False
        self._retry_interval_s = FLUSH_INTERVAL_S
        self._next_flush_at = time.monotonic() + FLUSH_INTERVAL_S
        return True

    def write_all(self, *, pause: Callable[[], bool]) -> None:
        """Returns once everything is written, however long the database is away; see outlast_outage."""
        outlast_outage(self._write_waiting, pause=pause)

    def _wait_in_line(self, write: Write) -> None:
        self._waiting.append(write)
        if self._spool.num_waiting:  # the database is away
            self._move_to_spool()

    def _move_to_spool(self) -> None:
        try:
            while self._waiting:
                self._spool.append(self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            logger.warning("writes wait in memory: %s", error)

    def _num_waiting(self) -> int:
        return self._spool.num_waiting + len(self._waiting)

    def _write_waiting(self) -> None:
        while self._spool.num_waiting:
            self._spool.drop(self._write_first(self._spool.read()))
        while self._waiting:
            for _ in range(self._write_first(self._waiting)):
                self._waiting.popleft()

    def _write_first(self, writes: Iterable[Write]) -> int:
        """Writes the first, or the updates that begin the line, in one transaction; how many it was."""
        updates: list[UpdateRecord] = []
        for write in islice(writes, MAX_UPDATES_PER_WRITE):
            if not isinstance(write, UpdateRecord):
                if not updates:
                    self._write_one(write)
                    return 1
                break
            updates.append(write)
        self._result_store.append_updates(self._lease, updates)
        return len(updates)

    def _write_one(self, record: Single) -> None:
        match record:
            case EvaluationRecord():
                self._result_store.record_evaluation(self._lease, record)
            case SampleBatchRecord():
                self._result_store.record_samples(self._lease, record)
            case PromptOverlapRecord():
                self._result_store.record_overlap(self._lease, record)
            case ReverseKlRecord():
                self._result_store.record_reverse_kl(self._lease, record)
            case GradientFidelityRecord():
                self._result_store.record_gradient_fidelity(self._lease, record)
            case CheckpointRecord():
                self._result_store.record_checkpoint(self._lease, record)
            case JobPhase():
                self._job_store.set_phase(self._lease, record)
            case AttemptEvent():
                self._job_store.add_event(self._lease, record)
