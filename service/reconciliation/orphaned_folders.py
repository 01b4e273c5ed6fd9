"""Checkpoint folders that no row names, of jobs that have ended: left by a crash between the folder and its row.

Only folders of this host, or shared with it: what lies in an object store has no time of its own, and is replaced or
removed with the job.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from service.storage.orphan_queries import ended_jobs, saved_checkpoints
from service.storage.row_ids import is_id
from service.storage.sessions import Database

# Longer than a worker that lost its job may go on writing.
MIN_AGE_S = 24 * 3600.0
JOBS_AT_ONCE = 200

logger = logging.getLogger(__name__)


def remove_orphaned_folders(
    database: Database, artifact_root: Path, *, min_age_s: float = MIN_AGE_S
) -> None:
    """Below `jobs/<id>/<attempt>`: `step-…` without a row, and what was written aside (`.…`), untouched for so long.

    Jobs that still go on are left alone, whatever lies there; so are jobs that this database does not know, which
    another may. A job that was deleted is the business of `ArtifactCleanup`. No link is followed.
    """
    oldest_kept_at = time.time() - min_age_s
    folders = iter(_job_folders(artifact_root / "jobs"))
    while batch := {folder.name: folder for folder in islice(folders, JOBS_AT_ONCE)}:
        ended = ended_jobs(database, list(batch), for_s=min_age_s)
        saved = saved_checkpoints(database, ended)
        for job_id in ended:
            for path in _leftovers(batch[job_id]):
                epoch = int(path.parent.name)
                if (job_id, epoch, path.name) not in saved and _changed_at(path) < oldest_kept_at:
                    _remove(path)


def _job_folders(jobs_folder: Path) -> Iterator[Path]:
    return (folder for folder in _folders_in(jobs_folder) if is_id(folder.name))


def _leftovers(job_folder: Path) -> Iterable[Path]:
    for attempt_folder in _folders_in(job_folder):
        if attempt_folder.name.isascii() and attempt_folder.name.isdigit():
            for path in _folders_in(attempt_folder):
                if path.name.startswith(("step-", ".")):
                    yield path


def _folders_in(folder: Path) -> Iterator[Path]:
    """Real ones, by name; none where it cannot be looked at."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
    except OSError:
        return
    yield from (folder / name for name in names)


def _changed_at(folder: Path) -> float:
    """Of the folder and the files right in it; now, where it cannot be looked at."""
    try:
        with os.scandir(folder) as entries:
            times = [each.stat(follow_symlinks=False).st_mtime for each in entries]
        return max(folder.lstat().st_mtime, *times, 0.0)
    except OSError:
        return time.time()


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        logger.warning("the orphaned folder %s stays for now: %s", folder, error)
    else:
        logger.info("removed the orphaned folder %s", folder)
