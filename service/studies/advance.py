"""One round of a study: take note of what has ended, then submit, pause, cancel or end, as its state asks.

Each step is a transaction of its own and finds by itself what is left to do, so that a round may end anywhere, and
several processes may be in one at once.
"""

import logging

from service.errors import DriftgateError, ErrorCode
from service.jobs.studies import PENDING, Study, StudyState
from service.jobs.study_jobs import arm_specs
from service.storage.job_store import JobStore
from service.storage.study_store import StudyStore
from service.studies.collapse import collapsed_arm, has_collapsed
from service.task_queue import Doorbell

logger = logging.getLogger(__name__)


def advance_study(
    study_id: str, *, study_store: StudyStore, job_store: JobStore, doorbell: Doorbell
) -> None:
    """Raises STUDY_NOT_FOUND where it was deleted meanwhile."""
    study = study_store.get(study_id)
    _settle_runs(study, study_store)
    study = _stop_if_collapsed(study, study_store)
    match study.state:
        case StudyState.RUNNING:
            _submit_runs(study, study_store, doorbell)
        case StudyState.PAUSED:
            study_store.pause_jobs(study.id)
        case StudyState.CANCELLING:
            study_store.drop_pending_runs(study.id)
            _cancel_jobs(study, study_store, job_store)
            _settle_runs(study, study_store)
    _end_if_done(study, study_store)


def _settle_runs(study: Study, study_store: StudyStore) -> None:
    unsettled = study_store.unsettled_runs(study.id)
    scores = study_store.scores([run.job_id for run in unsettled if run.job_id is not None])
    for run in unsettled:
        assert run.job_id is not None, "what was not submitted has not ended"
        collapsed = has_collapsed(run, scores[run.job_id], below=study.spec.collapse_below)
        study_store.settle(study.id, run, collapsed=collapsed)


def _stop_if_collapsed(study: Study, study_store: StudyStore) -> Study:
    """The study as it is then."""
    if not study.spec.stop_when_arm_collapses:
        return study
    arm = collapsed_arm(study.spec, study_store.runs(study.id))
    if arm is None:
        return study
    reason = f"More than half of the seeds of arm {arm} collapsed."
    study_store.move(
        study.id,
        StudyState.CANCELLING,
        leaving=(StudyState.RUNNING, StudyState.PAUSED),
        message=reason,
        reason=reason,
    )
    return study_store.get(study.id)


def _submit_runs(study: Study, study_store: StudyStore, doorbell: Doorbell) -> None:
    if study.progress.num_pending == 0:
        return
    arms = arm_specs(study.spec)
    try:
        while (submitted := study_store.submit_next(study.id, arms)) is not None:
            doorbell.ring(submitted.queue)
    except DriftgateError as error:
        if error.code is not ErrorCode.QUOTA_EXCEEDED:
            raise
        logger.info("study %s waits: %s", study.id, error.message)


def _cancel_jobs(study: Study, study_store: StudyStore, job_store: JobStore) -> None:
    for job_id in study_store.active_job_ids(study.id):
        try:
            job_store.request_cancel(job_id)
        except DriftgateError as error:
            # It has ended, or was deleted.
            if error.code not in (ErrorCode.JOB_STATE_CONFLICT, ErrorCode.JOB_NOT_FOUND):
                raise


def _end_if_done(study: Study, study_store: StudyStore) -> None:
    runs = study_store.runs(study.id)
    if any(run.state == PENDING or (run.job_id and run.outcome is None) for run in runs):
        return
    is_cancelled = study.state is StudyState.CANCELLING
    study_store.move(
        study.id,
        StudyState.CANCELLED if is_cancelled else StudyState.COMPLETED,
        leaving=(StudyState.CANCELLING,)
        if is_cancelled
        else (StudyState.RUNNING, StudyState.PAUSED),
        message="Cancelled." if is_cancelled else "Every run has ended.",
    )
