"""Folders of deleted jobs go from the artifact store."""

import logging
import os
import shutil
from pathlib import Path

from service.storage.job_rows import is_job_id
from service.storage.job_store import JobStore

# Of one round, so that it delays no lease for long; those that cannot be removed stand in nobody's way.
MAX_REMOVED_AT_ONCE = 20
MAX_LOOKED_AT = 1000

logger = logging.getLogger(__name__)


class ArtifactCleanup:
    """Several may run at once, also on one store: what another removed first is gone all the same.

    Only `jobs/<id>` below the artifact root is ever removed. Of a link, the link: nothing is followed.
    """

    def __init__(self, *, job_store: JobStore, artifact_root: Path) -> None:
        self._job_store = job_store
        self._jobs_folder = artifact_root / "jobs"
        self._reported: set[str] = set()

    def run_once(self) -> None:
        """Removes some of the folders that are due; one that cannot be removed is tried again next time.

        Where this host has no artifact store nothing is done, for another host has it. Raises
        DATABASE_UNAVAILABLE.
        """
        if not os.path.isdir(self._jobs_folder):  # noqa: PTH112 one that cannot be looked at is none
            return
        num_removed = 0
        for job_id in self._job_store.folders_to_remove(MAX_LOOKED_AT):
            if self._remove(job_id):
                self._job_store.folder_removed(job_id)
                num_removed += 1
            if num_removed == MAX_REMOVED_AT_ONCE:
                return

    def _remove(self, job_id: str) -> bool:
        """Whether the folder is gone."""
        assert is_job_id(job_id), "only a job that was there leaves its id behind"
        folder = self._jobs_folder / job_id
        try:
            if folder.is_symlink():
                folder.unlink(missing_ok=True)
            elif folder.exists():
                shutil.rmtree(folder)
        except FileNotFoundError:
            pass  # another reconciler was faster; what it left, it or the next round removes
        except OSError as error:
            if job_id not in self._reported:
                logger.warning("the folder of deleted job %s stays for now: %s", job_id, error)
                self._reported.add(job_id)
            return False
        return not os.path.lexists(folder)
