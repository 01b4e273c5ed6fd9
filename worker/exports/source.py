"""What an export copies: the model's files of one checkpoint, proved while they are read."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.jobs.checkpoint_manifest import CheckpointManifest
from service.preflight.checkpoint_folder import CheckpointFolder
from worker.attempt_end import StopRequestedError

UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class ExportSource:
    """`manifest` has the model's files only, in the order in which they are copied."""

    folder: CheckpointFolder
    manifest: CheckpointManifest
    stop: threading.Event
    report: Callable[[str], None]

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes. Raises CHECKPOINT_CORRUPT before the last of them, and StopRequestedError."""
        for chunk in self.folder.chunks(name):
            if self.stop.is_set():
                raise StopRequestedError
            yield chunk

    def path(self, name: str) -> Path:
        """A file of the size that it had. Raises CHECKPOINT_CORRUPT."""
        self.folder.check(name)
        path = self.folder.local_path(name)
        assert path is not None, "an export has its source on its own host"
        return path

    def report_copied(self, num_files: int) -> None:
        """`num_files`: how many are at the destination."""
        sizes = [entry.size_bytes for entry in self.manifest.files.values()]
        copied, total = sum(sizes[:num_files]), sum(sizes)
        self.report(
            f"Copied {num_files} of {len(sizes)} files, {size_text(copied)} of {size_text(total)}."
        )


def export_source(
    folder: CheckpointFolder, *, stop: threading.Event, report: Callable[[str], None]
) -> ExportSource:
    """folder: on this host, with the model's files at least."""
    manifest = folder.manifest.of(folder.manifest.loadable_names())
    return ExportSource(folder, manifest, stop, report)


def size_text(num_bytes: int) -> str:
    """Such as `1.2 GB`."""
    size, unit = float(num_bytes), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {UNITS[unit]}" if unit else f"{num_bytes} B"
