"""Folders of deleted jobs go from the artifact store."""

import logging
from collections.abc import Sequence

from service.artifacts.store import ArtifactStore
from service.artifacts.stores import ArtifactStores
from service.errors import DriftgateError, ErrorCode
from service.storage.job_store import JobStore
from service.storage.row_ids import is_id

# Of one round, so that it delays no lease for long; those that cannot be removed stand in nobody's way.
MAX_REMOVED_AT_ONCE = 20
MAX_LOOKED_AT = 1000

logger = logging.getLogger(__name__)


class ArtifactCleanup:
    """Several may run at once, also on one store: what another removed first is gone all the same.

    Only `jobs/<id>` of the artifact stores is ever removed. Of a link, the link: nothing is followed.
    """

    def __init__(self, *, job_store: JobStore, artifacts: ArtifactStores) -> None:
        self._job_store = job_store
        self._artifacts = artifacts
        self._reported: set[str] = set()

    def run_once(self) -> None:
        """Removes some of the folders that are due; one that cannot be removed is tried again next time.

        Where this host has no artifact store nothing is done, for another host has it. Raises
        DATABASE_UNAVAILABLE.
        """
        stores = [store for store in self._artifacts.all if store.is_here()]
        if not self._artifacts.written.is_here():
            return
        num_removed = 0
        for job_id in self._job_store.folders_to_remove(MAX_LOOKED_AT):
            try:
                is_gone = self._remove(job_id, stores)
            except DriftgateError as error:
                if error.code is not ErrorCode.ARTIFACTS_UNAVAILABLE:
                    raise
                # Each further one would wait for an answer too.
                logger.warning("folders of deleted jobs stay for now: %s", error.message)
                return
            if is_gone:
                self._job_store.folder_removed(job_id)
                num_removed += 1
            if num_removed == MAX_REMOVED_AT_ONCE:
                return

    def _remove(self, job_id: str, stores: Sequence[ArtifactStore]) -> bool:
        """Whether the folder is gone. Raises ARTIFACTS_UNAVAILABLE."""
        assert is_id(job_id), "only a job that was there leaves its id behind"
        key = f"jobs/{job_id}"
        try:
            for store in stores:
                store.remove_folder(key)
        except OSError as error:
            if job_id not in self._reported:
                logger.warning("the folder of deleted job %s stays for now: %s", job_id, error)
                self._reported.add(job_id)
            return False
        return not any(store.has_folder(key) for store in stores)
