"""Large files of the hub, fetched so that nothing that has arrived is fetched again.

The hub's client starts a file anew in every process, and a shard has gigabytes. Here a file grows under its
own name in the client's cache, is gone on with wherever a process left it, is compared with its hash, and
takes its place among the client's own files.
"""

import fcntl
import hashlib
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers
from huggingface_hub.utils.tqdm import silent_tqdm

from service.errors import DriftgateError, ErrorCode, Violation

REPORT_EVERY_S = 60.0
LOCK_POLL_S = 0.5
ROOM_BESIDES_BYTES = 64 * 2**20
ETAG = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9._\-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")


class DownloadStoppedError(Exception):
    """The worker drains; what has arrived stays."""


@dataclass(frozen=True, slots=True)
class DownloadWatch:
    """report: is given sentences for the job's reader, at the start and then once a minute at most."""

    report: Callable[[str], None]
    should_stop: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Files of one repository at one commit; sizes in bytes by name, None where the hub gives none."""

    repository: str
    commit: str
    sizes: tuple[tuple[str, int | None], ...]
    cache_dir: Path | None
    endpoint: str | None
    token: str | None
    timeout_s: float


def fetch_large_files(files: HubFiles, *, watch: DownloadWatch, field: str) -> None:
    """Every file in the cache's snapshot of the commit.

    Raises DISK_FULL before the first byte where they would not fit, DownloadStoppedError, OSError and the
    hub client's errors.
    """
    missing = [(name, size) for name, size in files.sizes if not _place(files, name).exists()]
    if not missing:
        return
    num_bytes = sum(size or 0 for _, size in missing)
    _check_room(files, num_bytes, field=field)
    progress = _Progress(files, num_bytes, watch)
    progress.begin(len(missing))
    for name, _ in missing:
        _fetch(files, name, progress)


# Of a caller that nobody reads.
UNWATCHED = DownloadWatch(report=lambda _: None, should_stop=lambda: False)


def commit_of(folder: Path) -> str | None:
    """The commit of a snapshot in the hub's cache; None of any other folder."""
    is_snapshot = folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name)
    return folder.name if is_snapshot else None


def cache_folder(cache_dir: Path | None) -> Path:
    """Where the hub's files are kept."""
    return cache_dir or Path(HF_HUB_CACHE)


class _Progress:
    def __init__(self, files: HubFiles, num_bytes: int, watch: DownloadWatch) -> None:
        self._of_what = f"{files.repository} at commit {files.commit[:12]}"
        self._num_bytes = num_bytes
        self._num_fetched = 0
        self._watch = watch
        self._last_report = time.monotonic()

    def begin(self, num_files: int) -> None:
        self._watch.report(
            f"Downloading {num_files} files of weights of {self._of_what}: {self._num_bytes:,} bytes."
        )

    def skip(self, num_bytes: int) -> None:
        """Bytes of a file that an earlier process fetched."""
        self._num_fetched += num_bytes
        self._watch.report(f"Going on with {self._of_what} after {num_bytes:,} bytes of a file.")

    def add(self, num_bytes: int) -> None:
        self._num_fetched += num_bytes
        self.check_stop()
        if time.monotonic() - self._last_report >= REPORT_EVERY_S:
            self._last_report = time.monotonic()
            self._watch.report(
                f"Downloaded {self._num_fetched:,} of {self._num_bytes:,} bytes of {self._of_what}."
            )

    def check_stop(self) -> None:
        if self._watch.should_stop():
            raise DownloadStoppedError


class _WatchedFile(io.BufferedWriter):
    """Tells of every write. Appends, so that the client's rewinding to the start truncates it."""

    def __init__(self, path: Path, progress: _Progress) -> None:
        super().__init__(io.FileIO(path, "ab"))
        self._progress = progress

    def write(self, content: object, /) -> int:
        assert isinstance(content, bytes)
        self._progress.add(len(content))
        return super().write(content)


def _fetch(files: HubFiles, name: str, progress: _Progress) -> None:
    url = huggingface_hub.hf_hub_url(
        files.repository, name, revision=files.commit, endpoint=files.endpoint
    )
    described = huggingface_hub.get_hf_file_metadata(
        url, token=files.token, timeout=files.timeout_s, endpoint=files.endpoint
    )
    etag = described.etag or ""
    if not ETAG.fullmatch(etag):
        raise OSError(f"the hub names {name} by {etag[:80]!r}, which is no name of a file")
    blob = _storage(files) / "blobs" / etag
    blob.parent.mkdir(parents=True, exist_ok=True)
    partial = blob.with_name(f"{etag}.incomplete")
    with _WatchedFile(partial, progress) as file:
        _lock(file, progress)
        place = _place(files, name)
        if place.exists():  # another process has fetched it meanwhile
            return
        if blob.exists():  # of another commit
            partial.unlink(missing_ok=True)  # who fetched it had the same file open
        else:
            if file.tell() > 0:
                progress.skip(file.tell())
            http_get(
                url,
                file,
                resume_size=file.tell(),
                headers=build_hf_headers(token=files.token),
                expected_size=described.size,
                displayed_filename=name,
                tqdm_class=silent_tqdm,
            )
            file.flush()
            os.fsync(file.fileno())
            _check_hash(partial, etag, name=name)
            partial.rename(blob)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))


def _lock(file: _WatchedFile, progress: _Progress) -> None:
    """One process a file; the kernel ends the lock with the process."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.check_stop()
            time.sleep(LOCK_POLL_S)
        else:
            file.seek(0, os.SEEK_END)
            return


def _check_hash(path: Path, etag: str, *, name: str) -> None:
    """Large files are named by their SHA-256; others by what the hub's git makes of them."""
    if not SHA256.fullmatch(etag):
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != etag:
        path.unlink()
        raise OSError(f"the bytes of {name} that arrived are not those that the hub names")


def _check_room(files: HubFiles, num_bytes: int, *, field: str) -> None:
    cache = cache_folder(files.cache_dir)
    cache.mkdir(parents=True, exist_ok=True)
    fetched = sum(path.stat().st_size for path in _storage(files).glob("blobs/*.incomplete"))
    needed, free = num_bytes - fetched + ROOM_BESIDES_BYTES, shutil.disk_usage(cache).free
    if free < needed:
        raise DriftgateError(
            ErrorCode.DISK_FULL,
            f"Model {files.repository!r} of {field} needs {needed:,} bytes of weights to be fetched from "
            f"the hub, and {free:,} are free in {cache}. Free some, or set DRIFTGATE_HUB_CACHE_DIR to a "
            "larger disk.",
            [Violation(f"{field}.model", f"{needed:,} bytes", f"at most {free:,} bytes")],
        )


def _storage(files: HubFiles) -> Path:
    folder: str = repo_folder_name(repo_id=files.repository, repo_type="model")
    return cache_folder(files.cache_dir) / folder


def _place(files: HubFiles, name: str) -> Path:
    return _storage(files) / "snapshots" / files.commit / name


def sizes_of(
    names: Sequence[str], siblings: Sequence[huggingface_hub.hf_api.RepoSibling]
) -> tuple[tuple[str, int | None], ...]:
    """Of the named files, as the hub lists them."""
    sizes = {sibling.rfilename: sibling.size for sibling in siblings}
    return tuple((name, sizes.get(name)) for name in names)
