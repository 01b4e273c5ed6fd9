"""A checkpoint's folder as this host sees it: its manifest, and the paths of the files that it names."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.checkpoint_manifest import (
    MANIFEST_FILE,
    CheckpointManifest,
    FileEntry,
    is_plain_name,
)
from service.jobs.results import Checkpoint

MAX_MANIFEST_BYTES = 16 * 2**20
CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """`manifest_text` is the manifest's file, whose hash is the recorded one."""

    path: Path
    manifest: CheckpointManifest
    manifest_text: bytes

    def file(self, name: str) -> Path:
        """The path of a file of the manifest, a regular file of the size that it had.

        Raises CHECKPOINT_CORRUPT, also for a link: what lies outside the folder is never read.
        """
        path, entry = self.path / name, self.manifest.files[name]
        try:
            status = path.lstat()
        except OSError as error:
            raise corrupt(name, f"it cannot be read ({error.strerror})") from error
        if not stat.S_ISREG(status.st_mode) or path.resolve() != path:
            raise corrupt(name, "it is no regular file")
        if not os.access(path, os.R_OK):
            raise corrupt(name, "this host may not read it")
        if status.st_size != entry.size_bytes:
            raise corrupt(name, f"it has {status.st_size:,} bytes in place of {entry.size_bytes:,}")
        return path

    def chunks(self, name: str) -> Iterator[bytes]:
        """The file's bytes. Raises CHECKPOINT_CORRUPT in place of the last of them where they differ from
        what was saved, so that nobody takes what came before for the whole.
        """
        entry = self.manifest.files[name]
        digest, num_bytes = hashlib.sha256(), 0
        held_back = b""
        try:
            with _open_file(self.file(name)) as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    num_bytes += len(chunk)
                    if num_bytes > entry.size_bytes:
                        break
                    if held_back:
                        yield held_back
                    held_back = chunk
        except OSError as error:
            raise corrupt(name, f"it cannot be read ({error.strerror})") from error
        if FileEntry(sha256=digest.hexdigest(), size_bytes=num_bytes) != entry:
            raise corrupt(name, "its bytes are not those that were saved")
        if held_back:
            yield held_back


def open_checkpoint(checkpoint: Checkpoint, *, artifact_root: Path) -> CheckpointFolder:
    """Raises RESOURCE_NOT_FOUND where this host does not see the folder, and CHECKPOINT_CORRUPT.

    artifact_root: resolved; a folder elsewhere is not opened.
    """
    folder = Path(checkpoint.uri)
    path = folder.resolve()
    is_below = path.is_relative_to(artifact_root) and path != artifact_root
    if not is_below or not os.path.isdir(path):  # noqa: PTH112 a folder that is closed is not seen
        raise _not_seen(checkpoint, artifact_root=artifact_root)
    text = _read_manifest(path / MANIFEST_FILE)
    if hashlib.sha256(text).hexdigest() != checkpoint.manifest_sha256:
        raise corrupt(MANIFEST_FILE, "its hash is not the recorded one")
    try:
        manifest = CheckpointManifest.model_validate_json(text)
    except ValidationError as error:
        raise corrupt(MANIFEST_FILE, "it is no manifest") from error
    for name in manifest.files:
        if not is_plain_name(name):
            raise corrupt(MANIFEST_FILE, f"{name[:100]!r} is no path below the folder")
    return CheckpointFolder(path, manifest, text)


def corrupt(name: str, reason: str) -> DriftgateError:
    """CHECKPOINT_CORRUPT of one file."""
    return DriftgateError(
        ErrorCode.CHECKPOINT_CORRUPT, f"Checkpoint file {name} cannot be used: {reason}."
    )


def _read_manifest(path: Path) -> bytes:
    try:
        with _open_file(path) as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise corrupt(MANIFEST_FILE, f"it cannot be read ({error.strerror})") from error
    if len(text) > MAX_MANIFEST_BYTES:
        raise corrupt(MANIFEST_FILE, f"it has more than {MAX_MANIFEST_BYTES:,} bytes")
    return text


def _open_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def _not_seen(checkpoint: Checkpoint, *, artifact_root: Path) -> DriftgateError:
    return DriftgateError(
        ErrorCode.RESOURCE_NOT_FOUND,
        f"This host does not see the checkpoint of step {checkpoint.step} at {checkpoint.uri}: there is "
        f"no such folder below its artifact root {artifact_root}. Ask a host that shares the workers' "
        "artifact store, or export the checkpoint.",
        [Violation("step", str(checkpoint.step), "a checkpoint on this host's artifact store")],
    )
