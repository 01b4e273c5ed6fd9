"""What one attempt works with: its lease, the stores, and when to stop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from service.artifacts.stores import ArtifactStores, open_artifacts
from service.jobs.records import AttemptEvent
from service.jobs.spec import ComputeSpec
from service.settings import Settings
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from worker.database_outage import outlast_outage
from worker.recorder import Recorder
from worker.rollouts.engine import RolloutEngine
from worker.store_outage import outlast_store_outage
from worker.training.distributed import ALONE, Ranks

DATABASE_RETRY_S = 2.0

Result = TypeVar("Result")

# From a model, its tokenizer, the tokens that end a response, where to compute, and the tokens of the longest
# sequence, to what samples from it.
EngineFactory = Callable[
    [PreTrainedModel, PreTrainedTokenizerBase, frozenset[int], ComputeSpec, torch.device, int],
    RolloutEngine,
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """`stop` is set when the worker drains: what is committed stays, the next attempt does the rest.

    ranks: of which this process is the first, or the only one.
    """

    lease: Lease
    directory: Path
    settings: Settings
    job_store: JobStore
    result_store: ResultStore
    recorder: Recorder
    stop: threading.Event
    make_engine: EngineFactory
    ranks: Ranks = ALONE

    def outlast(self, read: Callable[[], Result]) -> Result:
        """The result of a read, however long the database is away."""
        return outlast_outage(read, pause=self.pause)

    def pause(self) -> bool:
        """Waits a little between two tries; True where the attempt should give up."""
        return self.stop.wait(DATABASE_RETRY_S)

    @property
    def artifacts(self) -> ArtifactStores:
        """Where checkpoints are."""
        return open_artifacts(self.settings)

    def outlast_store(self, call: Callable[[], Result]) -> Result:
        """The result of a call that needs the artifact store.

        Raises ARTIFACTS_UNAVAILABLE where that stays full or away for longer than the settings say.
        """
        return outlast_store_outage(
            call,
            patience_s=self.settings.artifact_patience_s,
            stop=self.stop,
            report=self._report_store_outage,
        )

    def _report_store_outage(self, message: str) -> None:
        self.recorder.record_now(AttemptEvent("artifacts_unavailable", message))
