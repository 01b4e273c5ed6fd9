"""Model folders made of GGUF files, each once: keyed by content, written aside, renamed when whole."""

import fcntl
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import transformers

from service.errors import DriftgateError, ErrorCode, Violation
from service.preflight.architecture import Architecture
from service.preflight.gguf_facts import gguf_facts, invalid_gguf
from service.preflight.gguf_header import GgufError, GgufHeader, read_gguf_header
from service.preflight.tensor_sizes import FLOAT32_BYTES
from service.synced_files import sync
from worker.attempt_end import StopRequestedError
from worker.gguf_conversion import CONVERSION, convert_gguf

LOCK_POLL_S = 0.5
ROOM_BESIDES_WEIGHTS_BYTES = 64 * 2**20  # config and tokenizer


def converted_folder(
    file: Path,
    *,
    cache: Path,
    reference: str,
    field: str,
    stop: threading.Event,
    report: Callable[[str], None],
) -> Path:
    """The folder of safetensors of a GGUF file, made now unless it was before.

    report: is told what is done, and only where something is. Raises MODEL_INVALID for a file that is not
    read exactly, DISK_FULL, and StopRequestedError where the worker drains while another one converts.
    """
    try:
        header = read_gguf_header(file)
        architecture = gguf_facts(header).architecture
        assert isinstance(architecture, Architecture)
        key = _key(file)
        folder = cache / key
        if folder.is_dir():
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{key}.lock", stop):
            if not folder.is_dir():
                num_bytes = architecture.parameter_counts().total * FLOAT32_BYTES
                _check_room(cache, num_bytes, reference=reference, field=field)
                report(
                    f"Converting {file.name} of {field} to safetensors once: {num_bytes:,} bytes in "
                    f"float32, kept under the hash of its content, {key[:12]}."
                )
                _convert(file, header, folder)
    except GgufError as error:
        raise invalid_gguf(file, error, reference=reference, field=field) from error
    return folder


def _key(file: Path) -> str:
    """Of the content and of what makes safetensors of it."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return f"{digest}-{CONVERSION}-transformers-{transformers.__version__}"


@contextmanager
def _locked(path: Path, stop: threading.Event) -> Iterator[None]:
    """The kernel ends the lock with the process, so nothing is left of one that was killed."""
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.wait(LOCK_POLL_S):
                    raise StopRequestedError from None
        yield


def _check_room(cache: Path, num_bytes: int, *, reference: str, field: str) -> None:
    needed, free = num_bytes + ROOM_BESIDES_WEIGHTS_BYTES, shutil.disk_usage(cache).free
    if free < needed:
        raise DriftgateError(
            ErrorCode.DISK_FULL,
            f"Model {reference!r} of {field} needs {needed:,} bytes to be converted to safetensors, and "
            f"{free:,} are free in the worker's {cache}. Free some, or move DRIFTGATE_DATA_DIR.",
            [Violation(f"{field}.model", f"{needed:,} bytes", f"at most {free:,} bytes")],
        )


def _convert(file: Path, header: GgufHeader, folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
    aside.mkdir()
    try:
        convert_gguf(file, header, aside)
        for path in (*aside.iterdir(), aside):
            sync(path)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(folder.parent)
