import logging

import pytest
from sqlalchemy import text

from service.reconciliation.running_studies import advance_studies
from tests.service.studies.conftest import laboratory_on, small_laboratory

__all__ = ["laboratory_on", "small_laboratory"]


@pytest.fixture
def go_on(small_laboratory):
    def advance():
        advance_studies(
            study_store=small_laboratory.studies,
            job_store=small_laboratory.jobs,
            doorbell=small_laboratory.doorbell,
        )

    return advance


def test_every_study_that_has_not_ended_goes_on(small_laboratory, go_on):
    made = [small_laboratory.study() for _ in range(2)]
    go_on()
    assert [small_laboratory.studies.get(one).progress.num_active for one in made] == [2, 2]


def test_a_study_that_cannot_be_read_keeps_no_other_from_going_on(small_laboratory, go_on, caplog):
    broken, sound = (small_laboratory.study() for _ in range(2))
    with small_laboratory.studies._database.transaction() as session:
        session.execute(
            text("UPDATE studies SET spec = :spec WHERE id = :id"), {"spec": "{}", "id": broken}
        )
    with caplog.at_level(logging.WARNING):
        go_on()
    assert small_laboratory.studies.get(sound).progress.num_active == 2
    assert any(f"study {broken} cannot be read" in one.getMessage() for one in caplog.records)
    # And lists go on showing it, for they need no spec.
    assert len(small_laboratory.studies.list_studies(limit=5).studies) == 2
