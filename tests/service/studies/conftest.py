"""A study on `database`, its rounds, and a worker that a test plays."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from service.errors import ErrorCode
from service.jobs.access import ANYONE, Caller
from service.jobs.results import Failure
from service.jobs.studies import Study, StudyEvent
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from service.storage.study_store import FoundArm, StudyStore
from service.studies.advance import advance_study
from service.studies.verdict import make_verdict
from service.task_queue import Doorbell, celery_app
from tests.service.studies.played_runs import Scores, play_one, study_spec

NON_FINITE = Failure(code=ErrorCode.NON_FINITE_LOSS, message="The loss was NaN.")
SAME = (3, 3, 3, 3)


@dataclass(frozen=True)
class Laboratory:
    """Studies without a service around them."""

    studies: StudyStore
    jobs: JobStore
    results: ResultStore
    doorbell: Doorbell

    def study(self, *, caller: Caller = ANYONE, key: str | None = None, **changes: object) -> str:
        """The id of a new study; nothing of it was submitted yet."""
        spec = study_spec(**changes)
        found = {arm.name: FoundArm((), 1 << 20) for arm in spec.arms}
        return self.studies.create(
            spec, found=found, queue="default", idempotency_key=key, caller=caller
        ).id

    def round(self, study_id: str) -> Study:
        advance_study(
            study_id, study_store=self.studies, job_store=self.jobs, doorbell=self.doorbell
        )
        return self.studies.get(study_id)

    def play(
        self, scores: Scores = lambda _arm, _seed: SAME, **how: object
    ) -> tuple[str, int] | None:
        """A job run to its end, as a worker would."""
        return play_one(self.jobs, self.results, scores, **how)

    def events(self, study_id: str) -> tuple[StudyEvent, ...]:
        return self.studies.events(study_id, after=0, limit=1000).events

    def verdict(self, study_id: str):
        study, runs = self.studies.get(study_id), self.studies.runs(study_id)
        done = [run.job_id for run in runs if run.job_id and run.state == "succeeded"]
        return make_verdict(study, runs, self.studies.scores(done))


@pytest.fixture
def laboratory_on(settings_factory) -> Callable[[Database], Laboratory]:
    # No broker: a ring that nobody hears is logged, and workers look by themselves.
    doorbell = Doorbell(celery_app(settings_factory(broker_url="redis://127.0.0.1:9/0")))

    def make(database: Database) -> Laboratory:
        return Laboratory(StudyStore(database), JobStore(database), ResultStore(database), doorbell)

    return make


@pytest.fixture
def laboratory(laboratory_on, database) -> Laboratory:
    return laboratory_on(database)


@pytest.fixture
def small_laboratory(laboratory_on, sqlite_url):
    """On SQLite alone."""
    database = Database(sqlite_url)
    yield laboratory_on(database)
    database.close()
