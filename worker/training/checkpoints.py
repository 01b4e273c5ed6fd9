"""Checkpoint folders that are whole or absent: written aside, synced, described, renamed."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import MANIFEST_FILE
from service.jobs.records import CheckpointRecord
from service.synced_files import sync

# How safetensors, whose own error this is, ends the message of an error of the file system.
ERROR_OF_SYSTEM = re.compile(r"\(os error [0-9]+\)")


def write_checkpoint(
    save: Callable[[Path], None], *, folder: Path, step: int, update: int, final: bool
) -> CheckpointRecord:
    """Calls `save` on a folder beside `folder`, adds the manifest, and renames it into place.

    A folder of an earlier try at the same step is replaced: no row names it yet. Raises ARTIFACTS_UNAVAILABLE
    where the disk does not take it; then nothing of it stays.
    """
    aside = folder.with_name(f".{folder.name}.partial")
    try:
        return _write(save, folder=folder, aside=aside, step=step, update=update, final=final)
    except Exception as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError) or ERROR_OF_SYSTEM.search(str(error)):
            raise DriftgateError(
                ErrorCode.ARTIFACTS_UNAVAILABLE,
                f"Checkpoint {folder.name} was not saved, earlier ones stay: {_reason(error)}.",
            ) from error
        raise


def _write(
    save: Callable[[Path], None], *, folder: Path, aside: Path, step: int, update: int, final: bool
) -> CheckpointRecord:
    for leftover in (aside, folder):
        if leftover.exists():
            shutil.rmtree(leftover)
    aside.mkdir(parents=True)
    save(aside)
    paths = sorted(aside.rglob("*"))
    files = {
        path.relative_to(aside).as_posix(): _describe(path) for path in paths if path.is_file()
    }
    manifest = json.dumps(
        {"step": step, "update": update, "files": files}, sort_keys=True, indent=1
    )
    (aside / MANIFEST_FILE).write_text(manifest)
    for path in (*paths, aside / MANIFEST_FILE):
        sync(path)
    sync(aside)
    size_bytes = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
    aside.rename(folder)
    sync(folder.parent)
    return CheckpointRecord(
        step=step,
        update=update,
        uri=str(folder),
        size_bytes=size_bytes,
        manifest_sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        final=final,
    )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(". ")


def _describe(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "size_bytes": path.stat().st_size}
