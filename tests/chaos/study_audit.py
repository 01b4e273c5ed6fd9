"""Triggers that note each change of a study and each run that is given a job, and what stands of studies at the end."""

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.jobs.studies import StudyState
from service.jobs.study_spec import ARM_LABEL, SEED_LABEL, STUDY_LABEL, StudySpec
from service.storage.tables import JobLabelRow, JobRow, StudyEventRow, StudyRow, StudyRunRow
from tests.chaos.study_history import (
    StoredRun,
    StoredStudy,
    StoredStudyEvent,
    StudyChange,
    StudyJob,
    Submission,
)

STUDY_TABLES = """
CREATE TABLE chaos_study_changes (
    id {serial}, study_id TEXT, old_state TEXT, new_state TEXT, old_version BIGINT, new_version BIGINT
);
CREATE TABLE chaos_study_submissions (
    id {serial}, study_id TEXT, arm TEXT, seed BIGINT, old_job_id TEXT, job_id TEXT, num_active BIGINT
)
"""
NOTE_CHANGE = """
INSERT INTO chaos_study_changes (study_id, old_state, new_state, old_version, new_version)
VALUES (NEW.id, OLD.state, NEW.state, OLD.version, NEW.version)
"""
NOTE_SUBMISSION = """
INSERT INTO chaos_study_submissions (study_id, arm, seed, old_job_id, job_id, num_active)
SELECT NEW.study_id, NEW.arm, NEW.seed, OLD.job_id, NEW.job_id, count(*)
FROM study_runs JOIN jobs ON jobs.id = study_runs.job_id
WHERE study_runs.study_id = NEW.study_id AND jobs.state NOT IN ('succeeded', 'failed', 'cancelled')
"""
# Name, event, table, condition, and what is noted.
STUDY_TRIGGERS = (
    ("study_changes", "UPDATE", "studies", "", NOTE_CHANGE),
    (
        "study_submissions",
        "UPDATE",
        "study_runs",
        "WHEN (NEW.job_id IS NOT NULL AND (OLD.job_id IS NULL OR OLD.job_id <> NEW.job_id))",
        NOTE_SUBMISSION,
    ),
)


def stored_studies(session: Session) -> dict[str, StoredStudy]:
    return {row.id: _stored(session, row) for row in session.scalars(select(StudyRow)).all()}


def study_jobs(session: Session) -> list[StudyJob]:
    """Of all studies, also of such as are gone."""
    rows = session.execute(
        select(JobRow.id, JobRow.state, JobRow.spec)
        .join(JobLabelRow, JobLabelRow.job_id == JobRow.id)
        .where(JobLabelRow.key == STUDY_LABEL)
    )
    return [_study_job(job_id, state, JobSpec.model_validate(spec)) for job_id, state, spec in rows]


def study_changes(session: Session) -> list[StudyChange]:
    rows = session.execute(
        text(
            "SELECT study_id, old_state, new_state, old_version, new_version "
            "FROM chaos_study_changes ORDER BY id"
        )
    )
    return [
        StudyChange(study_id, StudyState(old), StudyState(new), *versions)
        for study_id, old, new, *versions in rows
    ]


def study_submissions(session: Session) -> list[Submission]:
    rows = session.execute(
        text(
            "SELECT study_id, arm, seed, old_job_id, job_id, num_active "
            "FROM chaos_study_submissions ORDER BY id"
        )
    )
    return [Submission(*row) for row in rows]


def _stored(session: Session, row: StudyRow) -> StoredStudy:
    spec = StudySpec.model_validate(row.spec)
    runs = session.scalars(
        select(StudyRunRow).where(StudyRunRow.study_id == row.id).order_by(StudyRunRow.position)
    )
    events = session.scalars(
        select(StudyEventRow).where(StudyEventRow.study_id == row.id).order_by(StudyEventRow.seq)
    )
    return StoredStudy(
        id=row.id,
        key=row.idempotency_key,
        state=StudyState(row.state),
        reason=row.reason,
        version=row.version,
        has_finished=row.finished_at is not None,
        pairs=frozenset((arm.name, seed) for arm in spec.arms for seed in spec.seeds),
        max_active_jobs=spec.max_active_jobs,
        stops_when_arm_collapses=spec.stop_when_arm_collapses,
        runs=[StoredRun(r.arm, r.seed, r.job_id, r.outcome, r.collapsed) for r in runs],
        events=[StoredStudyEvent(e.seq, e.type, StudyState(e.state)) for e in events],
    )


def _study_job(job_id: str, state: str, spec: JobSpec) -> StudyJob:
    labels = spec.labels
    assert labels[SEED_LABEL] == str(spec.seed), "a job trains with the seed that its label names"
    return StudyJob(job_id, labels[STUDY_LABEL], labels[ARM_LABEL], spec.seed, JobState(state))
