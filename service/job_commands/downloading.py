"""A checkpoint as a model folder on this machine."""

import shutil
import uuid
from pathlib import Path, PurePosixPath

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from service.client import Client
from service.errors import DriftgateError, ErrorCode, Violation
from service.job_commands.display import console, safe
from service.jobs.checkpoint_manifest import CheckpointContent, is_plain_name
from service.jobs.results import Job
from service.jobs.shown_input import shown


def download_checkpoint(
    client: Client, job: Job, *, step: int | None, folder: Path
) -> CheckpointContent:
    """Every file of the model, checked, in a folder that is there once it is whole.

    Step: None for the newest checkpoint. What only a resume needs is left out. Raises INVALID_ARGUMENT where
    the folder is there already.
    """
    if folder.exists():
        raise _invalid("--to", str(folder), "a folder that is not there yet")
    content = client.checkpoint(job.id, _reference(step))
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        aside.mkdir(parents=True)
        _download_files(client, content, aside)
        aside.replace(folder)
    except OSError as error:
        raise _invalid("--to", str(folder), f"a place to write to ({error.strerror})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return content


def downloaded_line(content: CheckpointContent, *, folder: Path) -> Text:
    files = [file for file in content.files if file.loadable]
    size_bytes = sum(file.size_bytes for file in files)
    return safe(
        f"{folder}: step {content.checkpoint.step:,}, {len(files)} files, "
        f"{size_bytes / 2**20:,.1f} MiB, every SHA-256 as the service says"
    )


def _download_files(client: Client, content: CheckpointContent, folder: Path) -> None:
    # Not by the name that it was asked for by: the newest one may be another meanwhile.
    step = content.checkpoint.step
    files = [file for file in content.files if file.loadable]
    with _progress() as progress:
        bar = progress.add_task("download", total=sum(file.size_bytes for file in files))
        for file in files:
            # The name comes from another machine.
            if not is_plain_name(file.name):
                raise _invalid("name", shown(file.name), "a path below the checkpoint's folder")
            to = folder / PurePosixPath(file.name)
            to.parent.mkdir(parents=True, exist_ok=True)
            client.download_checkpoint_file(content.job_id, step, file.name, to, sha256=file.sha256)
            progress.advance(bar, file.size_bytes)


def _progress() -> Progress:
    """On standard error's terminal, or nowhere: standard output may be for a program."""
    output = console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=output,
        transient=True,
        disable=not output.is_terminal,
    )


def _reference(step: int | None) -> int | str:
    return "latest" if step is None else step


def _invalid(field: str, given: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"{field}: given {given}, allowed: {allowed}.",
        [Violation(field, given, allowed)],
    )
