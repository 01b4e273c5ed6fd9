"""What an export copies in these tests: a folder of a few files, with small bytes and true hashes."""

import hashlib
import threading
from pathlib import Path

from service.artifacts.local_folder import LocalFolder
from service.artifacts.stores import ArtifactStores
from service.jobs.results import Checkpoint
from service.preflight.checkpoint_folder import open_checkpoint
from tests.saved_checkpoints import FILES
from worker.exports.source import ExportSource, export_source
from worker.training.checkpoints import write_checkpoint


class Reports(list):
    """What was reported; sets `stop` once `stop_after` reports are there."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        super().__init__()
        self.stop = threading.Event()
        self._stop_after = stop_after

    def __call__(self, text: str) -> None:
        self.append(text)
        if len(self) == self._stop_after:
            self.stop.set()


def a_source(root: Path, *, reports: Reports, step: int = 4, files=FILES) -> ExportSource:
    def save(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    record = write_checkpoint(
        save, folder=root / f"step-{step}", step=step, update=2 * step, final=True
    )
    checkpoint = Checkpoint(
        attempt=1,
        step=step,
        update=2 * step,
        uri=record.uri,
        size_bytes=record.size_bytes,
        manifest_sha256=record.manifest_sha256,
        final=True,
        created_at="2026-11-26T00:00:00Z",
    )
    folder = open_checkpoint(checkpoint, artifacts=ArtifactStores(LocalFolder(root.resolve())))
    return export_source(folder, stop=reports.stop, report=reports)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
