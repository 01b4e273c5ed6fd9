"""Jobs on a real database in real children, supervised in the test's own process."""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from service.jobs.records import TokenDriftRecord
from service.jobs.results import Job, ReverseKl
from service.jobs.spec import AnyJobSpec
from service.jobs.state import JobState
from service.settings import Settings
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.worker.measured_metrics import MEASURED_ON_THE_MACHINE
from worker.attempt import EngineFactory
from worker.execute import run
from worker.nursery_keeper import NurseryKeeper
from worker.supervisor import Supervisor, execute_command


class Bench:
    """A real database and real children, supervised in this process.

    nursery: children are forked from it, as by default, and not started.
    """

    def __init__(
        self,
        database_url: str,
        artifact_root: Path,
        *,
        child: Path | None = None,
        nursery: NurseryKeeper | None = None,
    ) -> None:
        self.database_url = database_url
        database = Database(database_url)
        self.jobs = JobStore(database)
        self.results = ResultStore(database)
        self.drain = threading.Event()
        self.supervisor = Supervisor(
            job_store=self.jobs,
            artifact_root=artifact_root,
            lease_s=30.0,
            heartbeat_s=0.2,
            stop_grace_s=30.0,
            max_attempts_without_progress=3,
            threads_per_job=1,
            drain=self.drain,
            child_command=_command_of(child) if child else execute_command,
            nursery=nursery,
        )

    def submit(self, spec: AnyJobSpec) -> str:
        return self.jobs.create(spec, warnings=(), queue="default").id

    def start_attempt(self) -> threading.Thread:
        claim = self.jobs.claim(queue="default", owner="test", lease_s=30)
        assert claim is not None
        thread = threading.Thread(target=self.supervisor.supervise, args=[claim])
        thread.start()
        return thread

    def run_attempt(self, job_id: str) -> Job:
        self.start_attempt().join()
        return self.jobs.get(job_id)

    def run(self, spec: AnyJobSpec) -> Job:
        return self.run_attempt(self.submit(spec))

    def run_here(self, spec: AnyJobSpec, *, settings: Settings, make_engine: EngineFactory) -> Job:
        """The job in this process: no start of a child, and a refusal is raised."""
        return self.attempt_here(self.submit(spec), settings=settings, make_engine=make_engine)

    def attempt_here(self, job_id: str, *, settings: Settings, make_engine: EngineFactory) -> Job:
        """An attempt at a job that is queued, to its end, in this process."""
        claim = self.jobs.claim(queue="default", owner="test", lease_s=30)
        assert claim is not None
        self.jobs.start_running(claim.lease)
        job_folder = settings.resolved_artifact_root() / "jobs" / job_id
        stop = threading.Event()
        run(
            claim.lease,
            attempt_dir=job_folder / str(claim.lease.epoch),
            settings=settings,
            stop=stop,
            make_engine=make_engine,
        )
        self.jobs.finish(claim.lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
        return self.jobs.get(job_id)

    def saved_steps(self, job_id: str) -> list[int]:
        return [checkpoint.step for checkpoint in self.results.latest_checkpoints(job_id)]

    def num_saved(self, job_id: str) -> int:
        """Checkpoints that were ever committed, the removed ones included."""
        events = self.jobs.events(job_id).events
        return [event.type for event in events].count("checkpoint_saved")

    def final_weights(self, job_id: str) -> bytes:
        newest = self.results.latest_checkpoints(job_id)[0]
        assert newest.final
        return (Path(newest.uri) / "model.safetensors").read_bytes()

    def computed_metrics(self, job_id: str) -> dict[str, tuple[float | None, ...]]:
        metrics = self.results.metrics(job_id)
        columns = {"update": metrics.update, "step": metrics.step} | metrics.columns
        return {name: columns[name] for name in columns if name not in MEASURED_ON_THE_MACHINE}

    def kept_drift(self, job_id: str) -> list[tuple[int, TokenDriftRecord]]:
        kept = self.results.token_drifts(job_id, after_update=0, limit=1000)
        return [(one.update, one.drift) for one in kept]

    def outcomes(self, job_id: str) -> list[tuple[object, ...]]:
        evaluations = self.results.results(job_id, include_problems=True).evaluations
        return sorted((e.stage, e.num_response_tokens, e.problems) for e in evaluations)

    def distances(self, job_id: str) -> list[ReverseKl]:
        """To the teacher, without what is of one attempt."""
        measured = self.results.results(job_id).reverse_kls
        return [one.model_copy(update={"attempt": 0, "seconds": 0.0}) for one in measured]


def _command_of(program: Path) -> Callable[[Lease, Path], Sequence[str]]:
    """The command of a child that is `program` in place of worker.execute."""

    def command(lease: Lease, attempt_dir: Path) -> Sequence[str]:
        arguments = execute_command(lease, attempt_dir)
        return (sys.executable, str(program), *arguments[arguments.index("--job") :])

    return command
