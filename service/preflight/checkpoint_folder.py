"""A checkpoint's folder in the artifact store: its manifest, and the files that it names, proved as they are read."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from service.artifacts.local_folder import LocalFolder
from service.artifacts.store import ArtifactStore, unavailable
from service.artifacts.stores import ArtifactStores
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
    """`manifest_text` is the manifest's file, whose hash is the recorded one.

    Raises CHECKPOINT_CORRUPT for files that are not those that were saved, and ARTIFACTS_UNAVAILABLE.
    """

    store: ArtifactStore
    key: str
    manifest: CheckpointManifest
    manifest_text: bytes

    def local_path(self, name: str | None = None) -> Path | None:
        """Of the folder, or of a file of it, where the store is a folder of this host."""
        return self.store.local_path(self.key if name is None else f"{self.key}/{name}")

    def check(self, name: str) -> None:
        """That the file of the manifest is there, a regular file of the size that it had."""
        entry = self.manifest.files[name]
        try:
            size_bytes = self.store.size_bytes(f"{self.key}/{name}")
        except OSError as error:
            raise _unreadable(name, error) from error
        if size_bytes != entry.size_bytes:
            raise corrupt(name, f"it has {size_bytes:,} bytes in place of {entry.size_bytes:,}")

    def open(self, name: str) -> BinaryIO:
        """The file, as far as its size can prove it."""
        self.check(name)
        try:
            return self.store.open(f"{self.key}/{name}")
        except OSError as error:
            raise _unreadable(name, error) from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """The file's bytes. Raises CHECKPOINT_CORRUPT in place of the last of them where they differ from
        what was saved, so that nobody takes what came before for the whole.
        """
        entry = self.manifest.files[name]
        digest, num_bytes = hashlib.sha256(), 0
        held_back = b""
        try:
            with self.open(name) as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                    num_bytes += len(chunk)
                    if num_bytes > entry.size_bytes:
                        break
                    if held_back:
                        yield held_back
                    held_back = chunk
        except OSError as error:
            raise _unreadable(name, error) from error
        if FileEntry(sha256=digest.hexdigest(), size_bytes=num_bytes) != entry:
            raise corrupt(name, "its bytes are not those that were saved")
        if held_back:
            yield held_back

    def on_this_host(self, into: Path, *, names: Iterable[str]) -> "CheckpointFolder":
        """The folder itself where the store is local, else a copy of the named files in the folder `into`."""
        if self.local_path() is not None:
            return self
        for name in names:
            _copy(self.chunks(name), into / name)
        return replace(self, store=LocalFolder(into.parent.resolve()), key=into.name)

    def proved_on_this_host(self, into: Path) -> Path:
        """A local folder with all files, every byte of them read and found as it was saved."""
        folder = self.on_this_host(into, names=self.manifest.files)
        if folder is self:
            for name in self.manifest.files:
                for _ in self.chunks(name):
                    pass
        path = folder.local_path()
        assert path is not None
        return path


def open_checkpoint(checkpoint: Checkpoint, *, artifacts: ArtifactStores) -> CheckpointFolder:
    """Raises RESOURCE_NOT_FOUND where this host does not see the folder, CHECKPOINT_CORRUPT, and
    ARTIFACTS_UNAVAILABLE.
    """
    found = artifacts.holding(checkpoint.uri)
    if found is None:
        raise _not_seen(checkpoint, artifacts)
    store, key = found
    try:
        with store.open(f"{key}/{MANIFEST_FILE}") as file:
            text = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        if not store.has_folder(key):
            raise _not_seen(checkpoint, artifacts) from error
        raise _unreadable(MANIFEST_FILE, error) from error
    if len(text) > MAX_MANIFEST_BYTES:
        raise corrupt(MANIFEST_FILE, f"it has more than {MAX_MANIFEST_BYTES:,} bytes")
    if hashlib.sha256(text).hexdigest() != checkpoint.manifest_sha256:
        raise corrupt(MANIFEST_FILE, "its hash is not the recorded one")
    try:
        manifest = CheckpointManifest.model_validate_json(text)
    except ValidationError as error:
        raise corrupt(MANIFEST_FILE, "it is no manifest") from error
    for name in manifest.files:
        if not is_plain_name(name):
            raise corrupt(MANIFEST_FILE, f"{name[:100]!r} is no path below the folder")
    return CheckpointFolder(store, key, manifest, text)


def corrupt(name: str, reason: str) -> DriftgateError:
    """CHECKPOINT_CORRUPT of one file."""
    return DriftgateError(
        ErrorCode.CHECKPOINT_CORRUPT, f"Checkpoint file {name} cannot be used: {reason}."
    )


def _copy(chunks: Iterator[bytes], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise unavailable(f"{path.parent} did not take a copy of {path.name}", error) from error


def _unreadable(name: str, error: OSError) -> DriftgateError:
    if isinstance(error, FileNotFoundError):
        return corrupt(name, "it is missing")
    return corrupt(name, f"it cannot be read ({error.strerror or error})")


def _not_seen(checkpoint: Checkpoint, artifacts: ArtifactStores) -> DriftgateError:
    stores = " or ".join(store.uri("").rstrip("/") for store in artifacts.all)
    return DriftgateError(
        ErrorCode.RESOURCE_NOT_FOUND,
        f"This host does not see the checkpoint of step {checkpoint.step} at {checkpoint.uri}: there is "
        f"no such folder below its artifact store, {stores}. Ask a host that shares the workers' artifact "
        "store, or export the checkpoint.",
        [Violation("step", str(checkpoint.step), "a checkpoint on this host's artifact store")],
    )
