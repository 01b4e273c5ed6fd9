"""The checkpoint that an export copies, and whether its destination may be written to."""

from fnmatch import fnmatchcase
from pathlib import Path

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.checkpoint_manifest import checkpoint_of_step
from service.jobs.export_spec import (
    ExportDestination,
    FolderDestination,
    HubDestination,
    ObjectStoreDestination,
)
from service.jobs.results import Checkpoint
from service.jobs.spec import ExportJobSpec
from service.settings import Settings
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore

MAX_STEPS_NAMED = 20


def find_exported(
    spec: ExportJobSpec, *, job_store: JobStore, result_store: ResultStore
) -> Checkpoint:
    """The named step's checkpoint, or the newest. Its files are the worker's to check.

    The job need not have ended; one that still runs may remove what it saved before it is copied. Raises
    JOB_NOT_FOUND, and INVALID_SPEC for a step that the job does not keep.
    """
    job = job_store.get(spec.job_id)
    checkpoints = result_store.latest_checkpoints(job.id)
    if not checkpoints:
        raise _refusal(
            "job_id",
            given=f"{job.id}, which is {job.state} and has no checkpoint",
            allowed="a job with a checkpoint",
        )
    checkpoint = checkpoint_of_step(checkpoints, spec.step)
    if checkpoint is None:
        steps = sorted({each.step for each in checkpoints}, reverse=True)[:MAX_STEPS_NAMED]
        raise _refusal(
            "step",
            given=str(spec.step),
            allowed=f"a step that job {job.id} keeps: {', '.join(map(str, steps))}",
        )
    return checkpoint


def check_destination(destination: ExportDestination, *, settings: Settings) -> None:
    """Raises INVALID_SPEC for a place that the settings do not allow, or a folder that is not free."""
    if not isinstance(destination, FolderDestination):
        check_place(destination, settings=settings)
        return
    folder = export_folder(destination, settings=settings)
    try:
        is_free = is_empty_folder(folder) or not folder.exists()
    except OSError as error:
        raise _refusal(
            "destination.path",
            given=f"{destination.path}, which cannot be looked at ({error.strerror})",
            allowed="a folder that this host may read",
        ) from error
    if not is_free:
        raise _refusal(
            "destination.path",
            given=f"{destination.path}, which is there and not empty",
            allowed="a folder that is not there yet, or an empty one",
        )


def check_place(
    destination: ObjectStoreDestination | HubDestination, *, settings: Settings
) -> None:
    """Raises INVALID_SPEC for a place that the settings do not allow.

    The worker asks again, by its own settings: it is what connects there.
    """
    match destination:
        case ObjectStoreDestination():
            _check_patterns("destination.url", destination.url, settings.export_url_allow)
            if destination.endpoint is not None:
                _check_endpoint(destination.endpoint, settings.export_endpoints)
        case HubDestination():
            _check_patterns("destination.repo_id", destination.repo_id, settings.export_hub_allow)


def export_folder(destination: FolderDestination, *, settings: Settings) -> Path:
    """The folder's path, which a link below the export root cannot lead out. Raises INVALID_SPEC."""
    root = settings.resolved_export_root()
    folder = (root / destination.path).resolve()
    if not folder.is_relative_to(root) or folder == root:
        raise _refusal(
            "destination.path",
            given=f"{destination.path}, which a link leads out of the export root",
            allowed="a path that stays below the export root",
        )
    return folder


def is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None


def _check_patterns(field: str, given: str, patterns: tuple[str, ...]) -> None:
    if not any(fnmatchcase(given, pattern) for pattern in patterns):
        raise _refusal(field, given=given, allowed=", ".join(patterns) or "none on this service")


def _check_endpoint(endpoint: str, listed: tuple[str, ...]) -> None:
    if endpoint not in [each.rstrip("/") for each in listed]:
        allowed = ", ".join(listed) or "none (the setting DRIFTGATE_EXPORT_ENDPOINTS lists them)"
        raise _refusal("destination.endpoint", given=endpoint, allowed=allowed)


def _refusal(field: str, *, given: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_SPEC,
        f"{field}: given {given}, allowed: {allowed}.",
        [Violation(field, given, allowed)],
    )
