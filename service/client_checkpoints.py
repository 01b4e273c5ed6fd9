"""Saved students: what there is, downloads of them, and their export to where others read them."""

import hashlib
import tarfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from service.client_downloads import PIECE_BYTES, DownloadCalls, corrupt
from service.client_http import job_path, read, segment
from service.jobs.checkpoint_manifest import CheckpointContent
from service.jobs.export_spec import ExportRequest
from service.jobs.results import Job, JobCheckpoints

Step = int | str


class CheckpointCalls(DownloadCalls):
    """A checkpoint is named by its job and its step: a number, `latest`, or `final` for that of the end."""

    def checkpoints(self, job_id: str) -> JobCheckpoints:
        """Newest first."""
        return self._get(job_path(job_id, "/checkpoints"), JobCheckpoints)

    def checkpoint(self, job_id: str, step: Step = "latest") -> CheckpointContent:
        """With the name, size and hash of each of its files."""
        return self._get(_path(job_id, step), CheckpointContent)

    def download_checkpoint_file(
        self, job_id: str, step: Step, name: str, to: Path, *, sha256: str
    ) -> None:
        """One file as `checkpoint` lists it; its hash is checked before it is at `to`."""
        address = f"{_path(job_id, step)}/files/{quote(name)}"
        self._download(address, to, check=lambda _file, found: _check(name, found, sha256))

    def download_checkpoint_archive(self, job_id: str, step: Step, to: Path) -> CheckpointContent:
        """A tar file of the model's folder; the hash of each file in it is checked before it is at `to`."""
        content = self.checkpoint(job_id, step)
        sha256_by_name = {file.name: file.sha256 for file in content.files if file.loadable}
        self._download(
            # By its number: the newest one may be another meanwhile.
            f"{_path(job_id, content.checkpoint.step)}:archive",
            to,
            check=lambda archive, _found: _check_members(archive, sha256_by_name),
        )
        return content

    def export_checkpoint(
        self,
        job_id: str,
        step: Step,
        export: ExportRequest | Mapping[str, object],
        *,
        idempotency_key: str | None = None,
    ) -> Job:
        """The job that copies the checkpoint to a folder, an object store or the hub."""
        body = dict(export) if isinstance(export, Mapping) else export.model_dump(mode="json")
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        request = self._request("POST", f"{_path(job_id, step)}:export", json=body, headers=headers)
        return read(self._repeat(request), Job)


def _check_members(archive: Path, sha256_by_name: Mapping[str, str]) -> None:
    missing = dict(sha256_by_name)
    with tarfile.open(archive) as opened:
        for member in opened:
            _folder, _, name = member.name.partition("/")
            expected, content = missing.pop(name, None), opened.extractfile(member)
            if expected is not None and content is not None:
                digest = hashlib.sha256()
                while piece := content.read(PIECE_BYTES):
                    digest.update(piece)
                _check(name, digest.hexdigest(), expected)
    for name, expected in missing.items():
        _check(name, "none, for it is missing", expected)


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise corrupt(name, found=found, expected=expected)


def _path(job_id: str, step: Step) -> str:
    return job_path(job_id, f"/checkpoints/{segment(str(step))}")
