"""Problem sets that clients upload: checked while they arrive, kept as a file, known by their content."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from service.argument_checks import check_range
from service.artifacts.store import DISK_ERRORS, unavailable
from service.artifacts.stores import open_artifacts
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.datasets import Dataset, DatasetPage, dataset_id_of
from service.jobs.shown_input import shown
from service.jobs.spec_fields import Name
from service.preflight.problem_files import dataset_file, dataset_key
from service.preflight.problem_stream import count_problems
from service.settings import Settings
from service.storage.dataset_store import DatasetStore

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
PARTIAL_SUFFIX = ".partial"
PARTIAL_LIFETIME_S = 24 * 3600.0  # a process that writes one touches it far more often
NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Upload:
    """is_new: no set with this content was there before."""

    dataset: Dataset
    is_new: bool


class DatasetOperations:
    """Every error is a DriftgateError, ARTIFACTS_UNAVAILABLE among them. Threads may share one."""

    def __init__(self, *, store: DatasetStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._artifacts = open_artifacts(settings)

    @property
    def max_bytes(self) -> int:
        """Of the content of one set."""
        return self._settings.max_dataset_bytes

    def upload(self, chunks: Iterable[bytes], *, name: str | None = None) -> Dataset:
        """The set with this content, JSONL in pieces of any size, each asked for when it is needed.

        The same content is the same set, under the name that it got first. Whatever `chunks` raises
        ends the upload, and nothing of it stays. Raises DATASET_INVALID naming the line that is wrong,
        PAYLOAD_TOO_LARGE, and INVALID_ARGUMENT for a name that cannot be one.
        """
        return self.receive(chunks, name=name).dataset

    def receive(self, chunks: Iterable[bytes], *, name: str | None = None) -> Upload:
        """As `upload`, and whether the set is new."""
        _check_name(name)
        folder = self._settings.uploads_folder()
        with _taken(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        partial = folder / f"{secrets.token_hex(16)}{PARTIAL_SUFFIX}"
        try:
            return self._receive(chunks, name=name, partial=partial)
        finally:
            partial.unlink(missing_ok=True)

    def list(self, *, limit: int = DEFAULT_PAGE_SIZE, page_token: str | None = None) -> DatasetPage:
        """Newest first."""
        check_range("page_size", limit, low=1, high=MAX_PAGE_SIZE)
        return self._store.list_datasets(limit=limit, page_token=page_token)

    def get(self, dataset_id: str) -> Dataset:
        """Raises RESOURCE_NOT_FOUND, also for a set that was deleted."""
        return self._store.get(dataset_id)

    def open_content(self, dataset_id: str) -> tuple[Dataset, BinaryIO]:
        """The content byte for byte; it can be read to its end even if the set is deleted meanwhile.

        Raises RESOURCE_NOT_FOUND.
        """
        dataset = self._store.get(dataset_id)
        try:
            return dataset, dataset_file(dataset.id, settings=self._settings).open("rb")
        except FileNotFoundError as error:
            raise DriftgateError(
                ErrorCode.RESOURCE_NOT_FOUND,
                f"The file of data set {dataset_id} is gone from the artifact store. Upload the set "
                "again, which repairs it.",
                [Violation("dataset_id", dataset_id, "a data set whose file is there")],
            ) from error

    def delete(self, dataset_id: str) -> None:
        """Jobs that ended keep their results.

        Raises RESOURCE_NOT_FOUND, and JOB_IN_USE where a job that has not ended names the set.
        """
        self._store.delete(dataset_id)
        self._store.remove_file(dataset_id, lambda: self._remove_content(dataset_id))

    def _receive(self, chunks: Iterable[bytes], *, name: str | None, partial: Path) -> Upload:
        digest = hashlib.sha256()
        with _taken(partial), partial.open("xb") as file:
            bounded = _bounded(chunks, max_bytes=self.max_bytes)
            written = _passed_to(bounded, file.write, digest.update)
            counts = count_problems(written, name=name or "upload", field="content")
            size_bytes = file.tell()
            file.flush()
            os.fsync(file.fileno())
        dataset_id = dataset_id_of(digest.hexdigest())
        key = dataset_key(dataset_id)
        if self._artifacts.written.local_path(key) is None:
            # Before the transaction, which would last as long: without a row nobody asks for it. Also where an
            # object of the size is there, which may have been altered.
            self._artifacts.written.put_file(partial, key)
        dataset, is_new = self._store.add(
            dataset_id,
            name=name,
            sha256=digest.hexdigest(),
            num_problems=counts.num_problems,
            num_answers=counts.num_answers,
            size_bytes=size_bytes,
            place_file=lambda: self._place(partial, key),
        )
        return Upload(dataset, is_new)

    def _place(self, partial: Path, key: str) -> None:
        """Puts the content there, unless it came before the transaction and was not deleted since."""
        store = self._artifacts.written
        try:
            is_there = store.size_bytes(key) == partial.stat().st_size
        except FileNotFoundError:
            is_there = False
        if not is_there or store.local_path(key) is not None:
            store.put_file(partial, key)

    def _remove_content(self, dataset_id: str) -> None:
        for store in self._artifacts.all:
            store.remove_file(dataset_key(dataset_id))


def _bounded(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes]:
    num_bytes = 0
    for chunk in chunks:
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            raise too_large(max_bytes)
        yield chunk


def too_large(max_bytes: int) -> DriftgateError:
    return DriftgateError(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"The problem set has more than {max_bytes:,} bytes. Upload it in parts, put it in a file "
        "below the dataset root, or raise DRIFTGATE_MAX_DATASET_BYTES.",
        [Violation("content", f"more than {max_bytes:,} bytes", f"at most {max_bytes:,} bytes")],
    )


def _passed_to(chunks: Iterable[bytes], *takers: Callable[[bytes], object]) -> Iterator[bytes]:
    for chunk in chunks:
        for take in takers:
            take(chunk)
        yield chunk


@contextmanager
def _taken(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise  # a client that went away, too, is an OSError
        raise unavailable(f"{path.parent} did not take the upload", error) from error


def _remove_abandoned(folder: Path) -> None:
    """Files of uploads whose process is gone."""
    newest = time.time() - PARTIAL_LIFETIME_S
    for path in folder.glob(f"*{PARTIAL_SUFFIX}"):
        with suppress(FileNotFoundError):  # another upload removes them too
            if path.stat().st_mtime < newest:
                path.unlink()


def _check_name(name: str | None) -> None:
    if name is None:
        return
    try:
        NAME.validate_python(name)
    except ValidationError as error:
        allowed = "1 to 200 characters, none of them a control character"
        raise DriftgateError(
            ErrorCode.INVALID_ARGUMENT,
            f"name: given {shown(name)}, allowed: {allowed}.",
            [Violation("name", shown(name), allowed)],
        ) from error
