"""The files of a job's checkpoints, where this host sees the artifact store: named, opened, archived."""

import tarfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from service.artifacts.stores import ArtifactStores
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.checkpoint_manifest import (
    MANIFEST_FILE,
    CheckpointContent,
    CheckpointFile,
    checkpoint_of_step,
    is_loadable,
)
from service.jobs.export_spec import ExportRequest
from service.jobs.results import Checkpoint
from service.jobs.shown_input import shown
from service.jobs.spec import ExportJobSpec, JobKind
from service.preflight.checkpoint_folder import CheckpointFolder, open_checkpoint
from service.storage.result_store import ResultStore

NEWEST = "latest"
FINAL = "final"
MAX_STEP = 1_000_000
# The number at the end of a tar archive's size: it ends with two empty blocks.
END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)

Part = Literal["optimizer"]


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file of a checkpoint; it has its size, its bytes were not read.

    path: None where the artifact store is not a folder of this host.
    """

    folder: CheckpointFolder
    name: str

    @property
    def file_name(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def size_bytes(self) -> int:
        return self.folder.manifest.files[self.name].size_bytes

    @property
    def sha256(self) -> str:
        return self.folder.manifest.files[self.name].sha256

    @property
    def path(self) -> Path | None:
        return self.folder.local_path(self.name)

    def open(self) -> BinaryIO:
        """Only what is read of it is fetched. Raises CHECKPOINT_CORRUPT and ARTIFACTS_UNAVAILABLE."""
        return self.folder.open(self.name)


@dataclass(frozen=True, slots=True)
class Archive:
    """A tar file that is made while it is read; `chunks` raises where a file is not as it was saved."""

    file_name: str
    size_bytes: int
    chunks: Generator[bytes]


class CheckpointOperations:
    """`step` is a number, `latest`, or `final`: the one that a job saved at its end.

    Every call raises JOB_NOT_FOUND, RESOURCE_NOT_FOUND for a step that the job does not keep or a folder
    that this host does not see, CHECKPOINT_CORRUPT, and ARTIFACTS_UNAVAILABLE. Nothing is held open between
    calls.
    """

    def __init__(self, *, result_store: ResultStore, artifacts: ArtifactStores) -> None:
        self._result_store = result_store
        self._artifacts = artifacts

    def content(self, job_id: str, step: str) -> CheckpointContent:
        """The checkpoint and its files by name, as its manifest has them."""
        checkpoint, folder = self._open(job_id, step)
        files = tuple(
            CheckpointFile(
                name=name,
                size_bytes=entry.size_bytes,
                sha256=entry.sha256,
                loadable=is_loadable(name),
            )
            for name, entry in sorted(folder.manifest.files.items())
        )
        return CheckpointContent(job_id=job_id, checkpoint=checkpoint, files=files)

    def open_file(self, job_id: str, step: str, name: str) -> OpenedFile:
        """One file of the manifest."""
        checkpoint, folder = self._open(job_id, step)
        if name not in folder.manifest.files:
            raise DriftgateError(
                ErrorCode.RESOURCE_NOT_FOUND,
                f"The checkpoint of step {checkpoint.step} of job {job_id} has no file {name[:200]!r}.",
                [Violation("name", name[:200], ", ".join(sorted(folder.manifest.files))[:1000])],
            )
        folder.check(name)
        return OpenedFile(folder, name)

    def archive(self, job_id: str, step: str, *, include: Sequence[Part] = ()) -> Archive:
        """The model's files, in a folder of their own; with `optimizer` what a resume needs as well."""
        checkpoint, folder = self._open(job_id, step)
        names = [
            name
            for name in sorted(folder.manifest.files)
            if is_loadable(name) or "optimizer" in include
        ]
        return _archive(f"{job_id}-step-{checkpoint.step}", checkpoint, folder, names)

    def export_spec(self, job_id: str, step: str, request: ExportRequest) -> ExportJobSpec:
        """The job that copies the checkpoint; its files may lie where only a worker sees them."""
        checkpoint = self._checkpoint(job_id, step)
        return ExportJobSpec(
            kind=JobKind.EXPORT,
            name=request.name,
            labels=request.labels,
            priority=request.priority,
            job_id=job_id,
            step=None if step == NEWEST else checkpoint.step,
            destination=request.destination,
        )

    def _open(self, job_id: str, step: str) -> tuple[Checkpoint, CheckpointFolder]:
        checkpoint = self._checkpoint(job_id, step)
        return checkpoint, open_checkpoint(checkpoint, artifacts=self._artifacts)

    def _checkpoint(self, job_id: str, step: str) -> Checkpoint:
        checkpoints = self._result_store.checkpoints(job_id).checkpoints
        if step == FINAL:
            found = next((each for each in checkpoints if each.final), None)
        else:
            number = None if step == NEWEST else _step_number(step)
            found = checkpoint_of_step(checkpoints, number)
        if found is None:
            kept = ", ".join(dict.fromkeys(str(each.step) for each in checkpoints)) or "none"
            raise DriftgateError(
                ErrorCode.RESOURCE_NOT_FOUND,
                f"Job {job_id} keeps no checkpoint of step {step}; it keeps: {kept[:500]}.",
                [Violation("step", step, kept[:500])],
            )
        return found


def _step_number(step: str) -> int:
    if step.isascii() and step.isdigit() and len(step) <= 7 and int(step) <= MAX_STEP:
        return int(step)
    allowed = f"a number up to {MAX_STEP:,}, {FINAL} or {NEWEST}"
    raise DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"step: given {shown(step)}, allowed: {allowed}.",
        [Violation("step", shown(step), allowed)],
    )


def _archive(
    name: str, checkpoint: Checkpoint, folder: CheckpointFolder, names: Sequence[str]
) -> Archive:
    """Sizes are known from the manifest, so the archive's is known before a file is read."""
    manifest = (
        folder.manifest_text
        if len(names) == len(folder.manifest.files)
        else folder.manifest.of(names).text()
    )
    sizes = {each: folder.manifest.files[each].size_bytes for each in names}
    sizes[MANIFEST_FILE] = len(manifest)
    headers = {
        each: _header(f"{name}/{each}", size, modified_at=int(checkpoint.created_at.timestamp()))
        for each, size in sizes.items()
    }
    for each in names:
        folder.check(each)  # before the first byte goes out, an error can still be an answer

    def chunks() -> Generator[bytes]:
        for each in names:
            yield headers[each]
            yield from folder.chunks(each)
            yield _padding(sizes[each])
        # Last, as in every copy: where it is, the rest is.
        yield headers[MANIFEST_FILE] + manifest + _padding(len(manifest))
        yield END_OF_ARCHIVE

    size_bytes = len(END_OF_ARCHIVE) + sum(
        len(headers[each]) + size + len(_padding(size)) for each, size in sizes.items()
    )
    return Archive(f"{name}.tar", size_bytes, chunks())


def _header(path: str, size_bytes: int, *, modified_at: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size_bytes, modified_at, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % tarfile.BLOCKSIZE)
