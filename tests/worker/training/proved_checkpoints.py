"""A written checkpoint as the next attempt reads it."""

from datetime import UTC, datetime
from pathlib import Path

from service.artifacts.local_folder import LocalFolder
from service.artifacts.stores import ArtifactStores
from service.jobs.records import CheckpointRecord
from service.jobs.results import Checkpoint
from service.preflight.checkpoint_folder import open_checkpoint


def prove(record: CheckpointRecord) -> None:
    """Reads all of its files. Raises CHECKPOINT_CORRUPT."""
    folder = Path(record.uri)
    checkpoint = Checkpoint(
        attempt=1,
        step=record.step,
        update=record.update,
        uri=record.uri,
        size_bytes=record.size_bytes,
        manifest_sha256=record.manifest_sha256,
        final=record.final,
        created_at=datetime.now(UTC),
    )
    stores = ArtifactStores(LocalFolder(folder.parent.resolve()))
    open_checkpoint(checkpoint, artifacts=stores).proved_on_this_host(folder.parent / "unused")
