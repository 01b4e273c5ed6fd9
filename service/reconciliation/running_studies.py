"""Studies that have not ended go on: runs are noted as they end, and the next are submitted."""

import logging

from pydantic import ValidationError

from service.errors import DriftgateError, ErrorCode
from service.storage.job_store import JobStore
from service.storage.study_store import StudyStore
from service.studies.advance import advance_study
from service.task_queue import Doorbell

logger = logging.getLogger(__name__)


def advance_studies(*, study_store: StudyStore, job_store: JobStore, doorbell: Doorbell) -> None:
    """A round of each, oldest first; one that cannot go on keeps no other from it."""
    for study_id in study_store.open_study_ids():
        try:
            advance_study(study_id, study_store=study_store, job_store=job_store, doorbell=doorbell)
        except DriftgateError as error:
            if error.code is ErrorCode.DATABASE_UNAVAILABLE:
                raise
            logger.warning("study %s did not go on: %s", study_id, error)
        except ValidationError as error:
            # A spec that this version does not read, such as a newer one's.
            logger.warning("study %s cannot be read: %d errors", study_id, error.error_count())
