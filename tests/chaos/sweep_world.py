"""What the steps of a sweep work on: a database, the stores, an attempt in this process, and what clients were told."""

import gc
import threading
import time
from pathlib import Path

from service import operations
from service.artifact_cleanup import ArtifactCleanup
from service.artifacts.stores import open_artifacts
from service.jobs.results import Job
from service.jobs.spec import JobSpec
from service.jobs.state import HELD_STATES, TERMINAL_STATES, JobState
from service.settings import Settings
from service.storage.invariants import find_violations
from service.storage.job_store import JobStore, Lease
from service.storage.sessions import Database
from service.storage.study_invariants import find_study_violations
from service.storage.study_store import StudyStore
from tests.chaos.audit import KEY_LABEL, Audit, install_triggers
from tests.chaos.history import Call, Evidence, Outcome, Verb
from tests.chaos.prepared_process import PreparedProcess
from tests.chaos.scripted_child import execute
from tests.chaos.study_history import StudyCall
from tests.worker.small_jobs import small_job

# Over as soon as it has begun: a lease that expired stands until it is taken.
LEASE_S = 0.001
MAX_ATTEMPTS = 3
OWNER = "sweep"


class SweepWorld:
    """operations: for the forks alone, for it starts threads."""

    def __init__(
        self, *, database_url: str, broker_url: str, folder: Path, file_points: bool
    ) -> None:
        self.settings = Settings(
            data_dir=folder / "var", database_url=database_url, broker_url=broker_url
        )
        self.settings.resolved_artifact_root().mkdir(parents=True)
        self.folder = folder
        self.receiver_url = ""  # of a webhook's receiver, once there is one
        self.database = Database(database_url)
        # Also what an attempt and the operations open: statements are compiled once for all forks.
        execute.Database = operations.Database = lambda _url: self.database
        self.jobs = JobStore(self.database)
        self.studies = StudyStore(self.database)
        self.operations = operations.build_operations(self.settings)
        self.process = PreparedProcess(
            folder=str(folder) if file_points else None, database=self.database
        )
        self.calls: list[Call] = []
        self.study_calls: list[StudyCall] = []
        self.audited: list[str] = []
        self.point_of_key: dict[str, str] = {}
        install_triggers(database_url)
        self.operations.plan_job(
            spec_of("read", steps=1)
        )  # what forks would each read of models and problems
        self.go_on(self.create("warm 1").id)
        gc.collect()
        gc.freeze()

    def create(self, key: str, *, steps: int = 1) -> Job:
        """Acknowledged; the job of the key where there is one."""
        job = self.jobs.create(
            spec_of(key, steps=steps),
            warnings=(),
            queue=self.settings.queue,
            idempotency_key=key,
        )
        self.told(Verb.CREATE, job.id, key=key, version=job.version, state=job.state)
        return job

    def told(self, verb: Verb, job_id: str | None, **fields: object) -> None:
        """Notes what a client was answered."""
        now_s = time.monotonic()
        values = {"outcome": Outcome.ACKNOWLEDGED, "job_id": job_id} | fields
        self.calls.append(Call("sweep", verb, now_s, now_s, **values))

    def claim(self) -> Lease:
        """The one job that waits, running."""
        claim = self.jobs.claim(queue=self.settings.queue, owner=OWNER, lease_s=LEASE_S)
        self.jobs.start_running(claim.lease)
        return claim.lease

    def lease_of(self, job_id: str) -> Lease:
        return Lease(job_id, self.jobs.get(job_id).attempt, OWNER)

    def run_attempt(self, lease: Lease) -> None:
        directory = (
            self.settings.resolved_artifact_root() / "jobs" / lease.job_id / str(lease.epoch)
        )
        directory.mkdir(parents=True, exist_ok=True)
        execute.run(
            lease,
            attempt_dir=directory,
            settings=self.settings,
            stop=threading.Event(),
            make_engine=None,
        )

    def finish(self, lease: Lease) -> None:
        self.jobs.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")

    def take_expired(self) -> None:
        """As the reconciler does once the database has been steady for one lease."""
        for lease in self.jobs.expired_leases(10):
            self.jobs.take_expired(lease.job_id, lease.epoch, max_attempts=MAX_ATTEMPTS)

    def clean_up(self) -> None:
        artifacts = open_artifacts(self.settings)
        ArtifactCleanup(job_store=self.jobs, artifacts=artifacts).run_once()

    def go_on(self, job_id: str) -> None:
        """What clients, reconciler and workers do until the job has ended."""
        while (state := self.jobs.get(job_id).state) not in TERMINAL_STATES:
            if state in HELD_STATES:
                time.sleep(2 * LEASE_S)
                self.take_expired()
            elif state is JobState.PAUSED:
                self.jobs.request_resume(job_id)
            else:
                lease = self.claim()
                assert lease.job_id == job_id, "the steps leave no other job behind"
                self.run_attempt(lease)
                self.finish(lease)

    def evidence(self) -> Evidence:
        audit = Audit(self.database)
        audited = [
            *(
                f"{found.invariant} of job {found.job_id}"
                for found in find_violations(self.database)
            ),
            *(
                f"{found.invariant} of study {found.study_id}"
                for found in find_study_violations(self.database)
            ),
        ]
        return Evidence(
            calls=self.calls,
            watches=(),
            jobs=audit.jobs(),
            deleted=audit.deleted(),
            keys=audit.keys(),
            changes=audit.changes(),
            writes=audit.writes(),
            audited=[*self.audited, *audited],
            studies=audit.studies(self.study_calls),
        )


def spec_of(key: str, *, steps: int) -> JobSpec:
    """One checkpoint a step, of which each makes the one before go."""
    return small_job(
        name=key,
        labels={KEY_LABEL: key},
        steps=steps,
        checkpoint={"every_steps": 1, "keep_last": 1},
    )
