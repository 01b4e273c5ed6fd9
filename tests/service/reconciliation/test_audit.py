import logging

from sqlalchemy import text

from service.jobs.spec import JobSpec
from service.reconciliation.audit import Audit
from service.storage.job_store import JobStore
from tests.service.studies.conftest import laboratory_on, small_laboratory

__all__ = ["laboratory_on", "small_laboratory"]

SPEC = JobSpec.model_validate(
    {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
    }
)


def test_violations_are_logged_with_the_job_and_counted(database, caplog):
    job_id = JobStore(database).create(SPEC, warnings=(), queue="q").id
    audit = Audit(database)
    audit.run_once()
    assert (audit.num_found, caplog.text) == (0, "")
    with database.transaction() as session:
        session.execute(text("UPDATE jobs SET lease_owner = 'nobody'"))
    with caplog.at_level(logging.ERROR):
        audit.run_once()
        audit.run_once()
    assert audit.num_found == 2
    line = f"job {job_id} breaks an invariant: a job that nobody holds has no lease"
    assert caplog.text.count(line) == 2


def test_studies_are_audited_too(small_laboratory, caplog):
    study_id = small_laboratory.study()
    database = small_laboratory.studies._database
    audit = Audit(database)
    with database.transaction() as session:
        session.execute(text("UPDATE studies SET state = 'completed'"))
    with caplog.at_level(logging.ERROR):
        audit.run_once()
    assert f"study {study_id} breaks an invariant: a study's state is that of its" in caplog.text
    assert audit.num_found == 3  # and it has ended at no time, with runs that have not
