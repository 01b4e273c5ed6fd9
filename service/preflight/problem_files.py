"""The file of an uploaded problem set, found by its id and proved to be what was uploaded."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from service.artifacts.file_cache import FileCache
from service.artifacts.stores import open_artifacts
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.datasets import dataset_id_of
from service.jobs.problem_sources import DatasetSource
from service.preflight.problem_rows import BYTE_ORDER_MARK
from service.settings import Settings

NUM_FILES_REMEMBERED = 256


def dataset_key(dataset_id: str) -> str:
    """Where the set's content is in an artifact store."""
    return f"datasets/{dataset_id}.jsonl"


def dataset_file(dataset_id: str, *, settings: Settings) -> Path:
    """The set's content on this host, a copy where the artifact store is elsewhere.

    Raises FileNotFoundError where no store has it, and ARTIFACTS_UNAVAILABLE.
    """
    key = dataset_key(dataset_id)
    cache = FileCache(settings.dataset_cache_folder(), max_bytes=settings.dataset_cache_bytes)
    for store in open_artifacts(settings).all:
        path = store.local_path(key)
        try:
            if path is None:
                return cache.path_of(store, key)
            store.size_bytes(key)
        except FileNotFoundError:
            continue
        return path
    raise FileNotFoundError(key)


def find_dataset(source: DatasetSource, *, settings: Settings, field: str) -> Path:
    """The file with the content that the id names.

    Raises DATASET_NOT_FOUND, or DATASET_INVALID where the content was altered or cut off.
    """
    path, _ = _find(source, settings=settings, field=field)
    return path


def num_problems_uploaded(source: DatasetSource, *, settings: Settings, field: str) -> int:
    """Its rows, which the upload has checked, so that they are only counted. Raises as `find_dataset`."""
    _, content = _find(source, settings=settings, field=field)
    return content.num_rows


@dataclass(frozen=True, slots=True)
class _Content:
    sha256: str
    num_rows: int


def _find(source: DatasetSource, *, settings: Settings, field: str) -> tuple[Path, _Content]:
    try:
        path = dataset_file(source.dataset_id, settings=settings)
        status = path.stat()
        content = _read_content(path, status.st_mtime_ns, status.st_size)
    except FileNotFoundError as error:
        raise DriftgateError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{field}.dataset_id is {source.dataset_id!r}, but no such problem set is uploaded, or it "
            "was deleted. Upload it with POST /v1/datasets: the same content has the same id again.",
            [Violation(f"{field}.dataset_id", source.dataset_id, "the id of an uploaded set")],
        ) from error
    if dataset_id_of(content.sha256) != source.dataset_id:
        if path.is_relative_to(settings.dataset_cache_folder()):
            path.unlink(missing_ok=True)  # a copy of what may be repaired by now
        raise DriftgateError(
            ErrorCode.DATASET_INVALID,
            f"The file of {source.dataset_id!r} ({field}.dataset_id) is not what was uploaded: its "
            f"SHA-256 begins with {content.sha256[:32]}. Upload the set again, which repairs it.",
            [Violation(f"{field}.dataset_id", source.dataset_id, "a file that was not altered")],
        )
    return path, content


@lru_cache(maxsize=NUM_FILES_REMEMBERED)
def _read_content(path: Path, _mtime_ns: int, _size_bytes: int) -> _Content:
    """Read once as long as the file's time and size stay as they are."""
    digest, num_rows = hashlib.sha256(), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            digest.update(line)
            text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            num_rows += not text.isspace() and bool(text)
    return _Content(digest.hexdigest(), num_rows)
