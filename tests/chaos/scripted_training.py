"""Training whose every number follows from the seed and the count of updates: no model, a few milliseconds each.

The weights are a chain of hashes, one link an update, and the loss of an update is read off its link. So an
attempt that went on from a wrong state shows in each number that it writes.
"""

import errno
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from service.jobs.catalog import Metric
from service.jobs.records import BlockDrift, UpdateRecord
from service.jobs.spec import JobSpec
from worker.training.cadence import CheckpointCadence

WEIGHTS_FILE = "model.safetensors"
STATE_FILE = "trainer_state.json"
WEIGHTS_REPEATED = 1024
# While this file exists the disk is full for whoever saves a checkpoint.
DISK_FULL_FILE = "CHAOS_DISK_FULL_FILE"
UPDATE_SECONDS = "CHAOS_UPDATE_SECONDS"
# How many times as long an update of the job takes.
PACE_LABEL = "chaos-pace"


def links_of(seed: int, num_updates: int) -> list[bytes]:
    """The weights after 0, 1, … updates."""
    links = [hashlib.sha256(f"seed {seed}".encode()).digest()]
    for update in range(1, num_updates + 1):
        links.append(next_link(links[-1], update))
    return links


def next_link(link: bytes, update: int) -> bytes:
    return hashlib.sha256(link + update.to_bytes(8)).digest()


def loss_of(link: bytes) -> float:
    """Exact in JSON and in SQL."""
    return int.from_bytes(link[:4]) / 2**32


def weights_of(link: bytes) -> bytes:
    return link * WEIGHTS_REPEATED


class ScriptedTrainer:
    """Has what `AttemptCheckpoints` and `worker.attempt_distillation` ask of a `Trainer`."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self._updates_per_step = spec.num_updates // spec.steps
        self._link = links_of(spec.seed, 0)[0]
        pace = float(spec.labels.get(PACE_LABEL, "1"))
        self._update_s = pace * float(os.environ.get(UPDATE_SECONDS, "0"))
        self.update = 0

    @property
    def step(self) -> int:
        return self.update // self._updates_per_step

    @property
    def is_inside_step(self) -> bool:
        return self.update % self._updates_per_step != 0

    def train(
        self,
        *,
        on_update: Callable[[UpdateRecord], None],
        on_checkpoint: Callable[[bool], None],
        stop: threading.Event,
    ) -> bool:
        """As `Trainer.train` does: a checkpoint when it is due, at the end, and where it is stopped."""
        cadence = CheckpointCadence(self._spec.checkpoint.every_steps)
        while self.step < self._spec.steps:
            time.sleep(self._update_s)
            self.update += 1
            self._link = next_link(self._link, self.update)
            on_update(self._record())
            is_last = self.step == self._spec.steps
            is_due = not self.is_inside_step and cadence.is_due(self.step)
            is_stopping = stop.is_set() and not is_last
            if is_last or is_due or is_stopping:
                with cadence.timed():
                    on_checkpoint(is_last)
            if is_stopping:
                return False
        return True

    def save(self, folder: Path) -> None:
        full = os.environ.get(DISK_FULL_FILE)
        if full and Path(full).exists():
            (folder / WEIGHTS_FILE).write_bytes(weights_of(self._link)[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (folder / WEIGHTS_FILE).write_bytes(weights_of(self._link))
        (folder / STATE_FILE).write_text(json.dumps({"update": self.update}))
        (folder / "config.json").write_text('{"model_type": "chain"}')

    def restore(self, folder: Path) -> None:
        self._link = (folder / WEIGHTS_FILE).read_bytes()[: len(self._link)]
        self.update = json.loads((folder / STATE_FILE).read_text())["update"]

    def _record(self) -> UpdateRecord:
        blocks = (BlockDrift(num_tokens=4, mean_drift_nats=-0.5, mean_abs_drift_nats=0.5),)
        return UpdateRecord(
            step=(self.update - 1) // self._updates_per_step + 1,
            update=self.update,
            metrics={Metric.LOSS: loss_of(self._link), Metric.GRADIENT_NORM: 1.0},
            drift_by_block=blocks,
        )
