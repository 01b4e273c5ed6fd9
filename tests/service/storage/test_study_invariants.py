"""The audit of studies: silent on what their own rounds make, loud on rows that were altered."""

import sqlite3

from sqlalchemy import text

from service.jobs.studies import StudyState
from service.storage.sessions import Database
from service.storage.study_invariants import STUDY_INVARIANTS, find_study_violations
from tests.service.studies.conftest import (
    Laboratory,
    laboratory,
    laboratory_on,
    small_laboratory,
)
from tests.service.studies.played_runs import STUDY

__all__ = ["laboratory", "laboratory_on", "small_laboratory"]

RUNNING, CANCELLED = 0, 1
ALTERATIONS = {
    "the seqs of a study's events have no gaps": [
        (RUNNING, "UPDATE studies SET version = version + 1 WHERE id = :id"),
        (CANCELLED, "DELETE FROM study_events WHERE study_id = :id AND seq = 2"),
    ],
    "a study's state is that of its newest event": [
        (RUNNING, "UPDATE studies SET state = 'paused' WHERE id = :id"),
    ],
    "nothing follows the end of a study": [
        (CANCELLED, "UPDATE study_events SET state = 'completed' WHERE study_id = :id AND seq = 2"),
        (RUNNING, "UPDATE study_events SET state = 'cancelling' WHERE study_id = :id AND seq = 1"),
    ],
    "a study has ended when its state says so": [
        (CANCELLED, "UPDATE studies SET finished_at = NULL WHERE id = :id"),
        (RUNNING, "UPDATE studies SET finished_at = created_at WHERE id = :id"),
    ],
    "every run of an ended study has ended": [
        (CANCELLED, "UPDATE study_runs SET outcome = NULL WHERE study_id = :id AND position = 8"),
    ],
    "a run that was never submitted ends with its study's cancelling alone": [
        (
            RUNNING,
            "UPDATE study_runs SET outcome = 'cancelled' WHERE study_id = :id AND position = 8",
        ),
    ],
    "a submitted run has its job, unless that was deleted": [
        (RUNNING, "UPDATE study_runs SET job_id = 'none' WHERE study_id = :id AND position = 1"),
    ],
    "a run ended as its job did": [
        (RUNNING, "UPDATE study_runs SET outcome = 'failed' WHERE study_id = :id AND position = 0"),
        (
            RUNNING,
            "UPDATE study_runs SET outcome = 'deleted' WHERE study_id = :id AND position = 0",
        ),
    ],
    "each submission and each end of a run has its event": [
        (RUNNING, "UPDATE study_events SET type = 'job_ended' WHERE study_id = :id AND seq = 2"),
    ],
    "a study has no more active jobs than it may": [
        (RUNNING, "UPDATE jobs SET state = 'queued'"),
    ],
}


EACH = [
    (invariant, which, alteration)
    for invariant, alterations in ALTERATIONS.items()
    for which, alteration in alterations
]


def two_studies(laboratory: Laboratory) -> dict[int, str]:
    """With two jobs at a time; of the running one two have ended, and the other was cancelled before any did."""
    running, cancelled = (laboratory.study(max_active_jobs=2) for _ in range(2))
    laboratory.round(running)
    laboratory.play()
    laboratory.play()
    laboratory.round(running)
    laboratory.round(cancelled)
    laboratory.studies.move(
        cancelled, StudyState.CANCELLING, leaving=(StudyState.RUNNING,), message="Cancelled."
    )
    laboratory.round(cancelled)
    return {RUNNING: running, CANCELLED: cancelled}


def alter(database: Database, study_id: str, alteration: str) -> None:
    with database.transaction() as session:
        session.execute(text(alteration), {"id": study_id} if ":id" in alteration else {})


def test_each_altered_row_is_found_with_its_study(small_laboratory, sqlite_url, tmp_path):
    ids = two_studies(small_laboratory)
    (_, source), copy = sqlite_url.split("///"), tmp_path / "altered.db"
    missed = []
    for invariant, which, alteration in EACH:
        with sqlite3.connect(source) as original, sqlite3.connect(copy) as altered:
            original.backup(altered)
        database = Database(f"sqlite:///{copy}")
        assert list(find_study_violations(database)) == []
        alter(database, ids[which], alteration)
        found = [(each.invariant, each.study_id) for each in find_study_violations(database)]
        database.close()
        if (invariant, ids[which]) not in found:
            missed.append((invariant, alteration))
    assert missed == []


def test_every_invariant_is_able_to_fail_on_either_database(laboratory, database):
    ids = two_studies(laboratory)
    assert list(find_study_violations(database)) == []
    for *_, (which, alteration) in ALTERATIONS.values():
        alter(database, ids[which], alteration)
    found = {each.invariant for each in find_study_violations(database)}
    assert found == STUDY_INVARIANTS.keys() == ALTERATIONS.keys()


def test_the_life_of_a_study_breaks_no_invariant_at_any_time(small_laboratory):
    laboratory = small_laboratory
    study_id = laboratory.study(arms=STUDY["arms"][:2], max_active_jobs=3)
    database = laboratory.studies._database
    found = []
    while laboratory.round(study_id).state is not StudyState.COMPLETED:
        found += find_study_violations(database)
        laboratory.play()
        laboratory.play()
        found += find_study_violations(database)
    for job in laboratory.jobs.list_jobs(limit=9).jobs:
        laboratory.jobs.delete(job.id)
    assert [*found, *find_study_violations(database)] == []
