"""The folder of a model that a spec names, on this host: fetched or converted where that is what it takes.

The first attempt that reads a model of the hub writes down its commit, and later ones take that, so that a
job never goes on with other weights than it began with, wherever a branch points by then.
"""

from functools import partial
from pathlib import Path

from service.jobs.records import AttemptEvent
from service.jobs.spec_fields import ModelSpec
from service.preflight.gguf_facts import is_gguf
from service.preflight.hub_downloads import DownloadStoppedError, DownloadWatch, commit_of
from service.preflight.models import download_model
from worker.attempt import Attempt
from worker.attempt_end import StopRequestedError
from worker.gguf_cache import converted_folder

PINNED = "model_pinned"


def model_folder(attempt: Attempt, model: ModelSpec, *, field: str) -> Path:
    """A folder with config, tokenizer and all weights as safetensors.

    Raises what submission would, DISK_FULL, and StopRequestedError where the worker drains meanwhile.
    """
    commit = _pinned_commit(attempt, model, field=field)
    pinned = model if commit is None else model.model_copy(update={"revision": commit})
    path = _downloaded(attempt, pinned, field=field)
    if commit is None:
        _pin(attempt, model, path, field=field)
    if not is_gguf(path):
        return path
    return converted_folder(
        path,
        cache=attempt.settings.converted_models_folder(),
        reference=model.model,
        field=field,
        stop=attempt.stop,
        report=partial(_tell, attempt, "weights_converted"),
    )


def _downloaded(attempt: Attempt, model: ModelSpec, *, field: str) -> Path:
    watch = DownloadWatch(
        report=partial(_tell, attempt, "model_download"),
        should_stop=attempt.stop.is_set,
    )
    try:
        return download_model(model, settings=attempt.settings, field=field, watch=watch)
    except DownloadStoppedError as stopped:
        raise StopRequestedError from stopped


def _tell(attempt: Attempt, event_type: str, text: str) -> None:
    attempt.recorder.record_now(AttemptEvent(event_type, text))


def _pinned_commit(attempt: Attempt, model: ModelSpec, *, field: str) -> str | None:
    """What an earlier attempt of this job wrote down."""
    messages = attempt.outlast(
        lambda: attempt.job_store.event_messages(attempt.lease.job_id, event_type=PINNED)
    )
    beginning = _pin_text(model, "", field=field)
    commits = [text.removeprefix(beginning) for text in messages if text.startswith(beginning)]
    return commits[0] if commits else None


def _pin(attempt: Attempt, model: ModelSpec, path: Path, *, field: str) -> None:
    commit = commit_of(path)
    if commit is not None:
        _tell(attempt, PINNED, _pin_text(model, commit, field=field))


def _pin_text(model: ModelSpec, commit: str, *, field: str) -> str:
    return f"{field}: {model.model} at commit {commit}"
