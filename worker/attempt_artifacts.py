"""What an attempt has to do with the artifact store, however long that is full or away."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from service.artifacts.store import RETRY_AFTER_S
from service.artifacts.stores import ArtifactStores
from service.errors import DriftgateError, ErrorCode
from service.jobs.results import Checkpoint
from service.preflight.checkpoint_folder import CheckpointFolder, open_checkpoint
from worker.attempt import Attempt
from worker.scratch import remove_scratch, scratch_folder


@contextmanager
def local_checkpoint(attempt: Attempt, checkpoint: Checkpoint) -> Iterator[Path]:
    """A folder of this host with the checkpoint, every byte proved; a copy is gone afterwards.

    Raises CHECKPOINT_CORRUPT, RESOURCE_NOT_FOUND where it is gone, and ARTIFACTS_UNAVAILABLE, also where this host does not
    see the place.
    """

    def fetch(into: Path) -> Path:
        folder = _opened(checkpoint, attempt.artifacts)
        return folder.proved_on_this_host(into)

    with ExitStack() as scratch:
        yield attempt.outlast_store(lambda: fetch(_new_folder(attempt, scratch)))


@contextmanager
def model_of_checkpoint(attempt: Attempt, checkpoint: Checkpoint) -> Iterator[CheckpointFolder]:
    """The checkpoint's model on this host, to be proved as it is read. Raises as `local_checkpoint`."""

    def fetch(into: Path) -> CheckpointFolder:
        folder = _opened(checkpoint, attempt.artifacts)
        return folder.on_this_host(into, names=folder.manifest.loadable_names())

    with ExitStack() as scratch:
        yield attempt.outlast_store(lambda: fetch(_new_folder(attempt, scratch)))


def remove_leftovers(attempt: Attempt) -> None:
    """What earlier attempts of the job were killed over: scratch on this host, and checkpoints without a row.

    None of those attempts can add a row any more. Raises ARTIFACTS_UNAVAILABLE.
    """
    lease, store = attempt.lease, attempt.artifacts.written
    job_key = f"jobs/{lease.job_id}"
    earlier = [
        name for name in store.names(job_key) if name.isdecimal() and int(name) < lease.epoch
    ]
    named = attempt.outlast(lambda: attempt.result_store.checkpoint_uris(lease.job_id))
    for epoch in earlier:
        for name in store.names(f"{job_key}/{epoch}"):
            key = f"{job_key}/{epoch}/{name}"
            is_checkpoint = name.startswith("step-")
            if name.startswith(".") or (is_checkpoint and store.uri(key) not in named):
                store.remove_folder(key)
    root = attempt.settings.resolved_artifact_root()
    for number in range(1, lease.epoch):
        remove_scratch(root / job_key / str(number))


def _opened(checkpoint: Checkpoint, artifacts: ArtifactStores) -> CheckpointFolder:
    """Raises ARTIFACTS_UNAVAILABLE where this host does not see the place: what is out of sight is not gone."""
    try:
        return open_checkpoint(checkpoint, artifacts=artifacts)
    except DriftgateError as error:
        if error.code is not ErrorCode.RESOURCE_NOT_FOUND or _is_place_seen(checkpoint, artifacts):
            raise
        place = checkpoint.uri.rpartition("/")[0]
        raise DriftgateError(
            ErrorCode.ARTIFACTS_UNAVAILABLE,
            f"This worker does not see {place}, where the checkpoint of step {checkpoint.step} was saved. Give it the "
            "artifact store of the workers before it (DRIFTGATE_ARTIFACT_ROOT, DRIFTGATE_ARTIFACT_URL). Where the files "
            "are gone for good, make that folder, empty, in its store: then the job goes on without them.",
            retry_after_s=RETRY_AFTER_S,
        ) from error


def _is_place_seen(checkpoint: Checkpoint, artifacts: ArtifactStores) -> bool:
    """Of a local folder, whether that of the attempt is there; another store has answered that it has no such files."""
    found = artifacts.holding(checkpoint.uri)
    if found is None:
        return False
    store, key = found
    return store.local_path(key) is None or store.has_folder(key.rpartition("/")[0])


def _new_folder(attempt: Attempt, scratch: ExitStack) -> Path:
    return scratch.enter_context(scratch_folder(attempt.directory)) / "checkpoint"
