"""An export to a folder: copied aside, proved, and renamed into place."""

import hashlib
import os
import shutil
from pathlib import Path

from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import MANIFEST_FILE
from service.preflight.export import is_empty_folder
from service.synced_files import sync
from worker.exports.failures import export_failed
from worker.exports.source import ExportSource


def copy_to_folder(source: ExportSource, target: Path, *, job_id: str) -> None:
    """The folder is there whole, or not at all. A copy that an earlier attempt finished is left as it is.

    Raises EXPORT_FAILED, CHECKPOINT_CORRUPT and StopRequestedError. Two jobs with one target: the first to
    finish has it.
    """
    if _has_copy(source, target):
        return
    # By the job: what a killed attempt left is known as our own and made anew.
    aside = target.with_name(f".{target.name}.{job_id}.partial")
    try:
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(parents=True)
        for num_before, name in enumerate(source.manifest.files):
            _copy_file(source, name, aside / name)
            source.report_copied(num_before + 1)
        _write_synced(aside / MANIFEST_FILE, source.manifest.text())
        for folder in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
            sync(folder)
        if target.exists() and not is_empty_folder(target):
            raise _not_free(target)
        aside.rename(target)
        sync(target.parent)
    except OSError as error:
        raise export_failed(f"The folder {target} did not take the checkpoint", error) from error


def _has_copy(source: ExportSource, target: Path) -> bool:
    """Whether the folder holds this copy, and every file of it has its size."""
    try:
        text = (target / MANIFEST_FILE).read_bytes()
        sizes = {name: (target / name).stat().st_size for name in source.manifest.files}
    except OSError:
        return False
    return text == source.manifest.text() and sizes == {
        name: entry.size_bytes for name, entry in source.manifest.files.items()
    }


def _copy_file(source: ExportSource, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for chunk in source.chunks(name):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.manifest.files[name].sha256:
        raise DriftgateError(
            ErrorCode.EXPORT_FAILED,
            f"The copy of {name} at {path.parent} differs from what was written there. Look after the "
            "file system, and export again.",
        )


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _not_free(target: Path) -> DriftgateError:
    return DriftgateError(
        ErrorCode.EXPORT_FAILED,
        f"The folder {target} is there and not empty, and it does not hold this checkpoint. Export to a "
        "folder that is not there yet, or empty this one.",
    )
