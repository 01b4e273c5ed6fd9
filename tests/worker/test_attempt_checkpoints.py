"""Checkpoints of an attempt whose trainer is a number: on a folder and on a bucket, with room and without."""

import shutil
import threading
from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker import attempt_checkpoints, store_outage
from worker.attempt import Attempt
from worker.attempt_checkpoints import AttemptCheckpoints
from worker.recorder import Recorder
from worker.scratch import scratch_folder
from worker.spool import SPOOL_FILE, Spool

CHILD_WITHOUT_ROOM = """
import sys
from pathlib import Path
from service.errors import ErrorCode
from service.jobs.results import Failure
from worker.attempt_end import ExitStatus, write_failure
folder = Path(sys.argv[sys.argv.index("--attempt-dir") + 1])
(folder / ".unsent").mkdir()
write_failure(Failure(code=ErrorCode.ARTIFACTS_UNAVAILABLE, message="The disk is full."), folder)
sys.exit(ExitStatus.NO_STORE)
"""


class Trainer:
    """Its weights are the number of its step. `disks` are devices that take the next saves in place of files."""

    is_inside_step = False

    def __init__(self):
        self.step = 0
        self.disks = []

    @property
    def update(self):
        return 2 * self.step

    def save(self, folder):
        (folder / "config.json").write_text("{}")
        if self.disks:
            (folder / "weights").symlink_to(self.disks.pop(0))
        (folder / "weights").write_text(str(self.step))

    def restore(self, folder):
        self.step = int((folder / "weights").read_text())


class RunningJob:
    """A job, and attempts at it that follow each other."""

    def __init__(self, database_url, settings):
        database = Database(database_url)
        self.jobs, self.results = JobStore(database), ResultStore(database)
        self.settings = settings
        self.id = self.jobs.create(small_job(), warnings=(), queue="default").id
        self.stop = threading.Event()
        self.trainer = Trainer()
        self.lease = None
        self.checkpoints = self.next_attempt()

    def next_attempt(self):
        if self.lease is not None:
            self.jobs.release(self.lease, message="lost", counted=False, max_attempts=3)
        self.lease = self.jobs.claim(queue="default", owner="test", lease_s=60).lease
        self.jobs.start_running(self.lease)
        directory = self.directory
        directory.mkdir(parents=True)
        attempt = Attempt(
            lease=self.lease,
            directory=directory,
            settings=self.settings,
            job_store=self.jobs,
            result_store=self.results,
            recorder=Recorder(
                job_store=self.jobs,
                result_store=self.results,
                lease=self.lease,
                spool=Spool(directory / SPOOL_FILE),
            ),
            stop=self.stop,
            make_engine=None,
        )
        self.trainer.step = 0
        self.checkpoints = AttemptCheckpoints(attempt, keep_last=2)
        return self.checkpoints

    @property
    def directory(self) -> Path:
        root = self.settings.resolved_artifact_root()
        return root / "jobs" / self.id / str(self.lease.epoch)

    def save(self, step, *, final=False):
        self.trainer.step = step
        self.checkpoints.save(self.trainer, final=final)

    def saved_steps(self):
        return [each.step for each in self.results.latest_checkpoints(self.id)]

    def events(self, event_type):
        return [
            each.message for each in self.jobs.events(self.id).events if each.type == event_type
        ]

    def files(self):
        """On this host, of all attempts."""
        job_folder = self.directory.parent
        paths = (path for path in job_folder.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(job_folder).as_posix() for path in paths)


@pytest.fixture
def job(settings_factory, sqlite_url):
    return RunningJob(sqlite_url, settings_factory(artifact_patience_s=0))


@pytest.fixture
def job_in_bucket(settings_factory, sqlite_url, bucket):
    settings = settings_factory(artifact_patience_s=0, **bucket.settings())
    return RunningJob(sqlite_url, settings)


def objects_of(job, bucket):
    prefix = f"run/jobs/{job.id}/"
    return [name.removeprefix(prefix) for name in bucket.names()]


def test_checkpoints_in_a_bucket_leave_nothing_on_the_host_and_only_the_last_stay(
    job_in_bucket, bucket
):
    job = job_in_bucket
    for step in (1, 2, 3):
        job.save(step)

    assert job.saved_steps() == [3, 2]
    assert {name.rpartition("/")[0] for name in objects_of(job, bucket)} == {"1/step-2", "1/step-3"}
    newest = job.results.latest_checkpoints(job.id)[0]
    assert newest.uri == f"s3://{bucket.name}/run/jobs/{job.id}/1/step-3"
    assert job.files() == []

    job.next_attempt().restore_newest(job.trainer)
    assert job.trainer.step == 3
    assert job.files() == []


@pytest.mark.parametrize("where", ["job", "job_in_bucket"])
def test_a_disk_that_is_full_costs_no_earlier_checkpoint_and_nothing_partial_stays(where, request):
    job = request.getfixturevalue(where)
    job.save(1)
    files = job.files()
    job.trainer.disks = ["/dev/full"]

    with pytest.raises(DriftgateError) as refusal:
        job.save(2)

    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
    assert refusal.value.message == (
        "Checkpoint step-2 was not saved, earlier ones stay: No space left on device."
    )
    assert job.events("artifacts_unavailable") == [refusal.value.message]
    assert (job.saved_steps(), job.files()) == ([1], files)
    job.next_attempt().restore_newest(job.trainer)
    assert job.trainer.step == 1


def test_a_checkpoint_is_tried_again_until_there_is_room(settings_factory, sqlite_url, monkeypatch):
    monkeypatch.setattr(store_outage, "FIRST_PAUSE_S", 0.01)
    job = RunningJob(sqlite_url, settings_factory(artifact_patience_s=30))
    job.trainer.disks = ["/dev/full", "/dev/full"]

    job.save(1)

    assert job.saved_steps() == [1]
    assert len(job.events("artifacts_unavailable")) == 1


def test_an_attempt_that_is_to_stop_does_not_wait_for_room(settings_factory, sqlite_url):
    job = RunningJob(sqlite_url, settings_factory(artifact_patience_s=3600))
    job.trainer.disks = ["/dev/full"]
    job.stop.set()
    with pytest.raises(DriftgateError, match="No space left"):
        job.save(1)


def test_what_the_spec_or_the_code_got_wrong_is_not_blamed_on_the_disk(job):
    def fail(_folder):
        raise ValueError("no shape like this")

    job.trainer.save = fail
    with pytest.raises(ValueError, match="no shape"):
        job.save(1)
    assert job.files() == []


@pytest.mark.parametrize("damaged", ["weights", "manifest.json"])
def test_a_damaged_checkpoint_in_a_bucket_is_skipped_for_the_one_before(
    job_in_bucket, bucket, damaged
):
    job = job_in_bucket
    for step in (1, 2):
        job.save(step)
    bucket.put(f"run/jobs/{job.id}/1/step-2/{damaged}", b"9")

    job.next_attempt().restore_newest(job.trainer)

    assert job.trainer.step == 1
    (told,) = job.events("checkpoint_skipped")
    assert told.startswith("Step 2, update 4: ")
    assert damaged in told
    for step in (2, 3):
        job.save(step)
    assert {name.rpartition("/")[0] for name in objects_of(job, bucket)} == {"2/step-2", "2/step-3"}


def test_a_store_that_is_away_is_not_taken_for_a_damaged_checkpoint(job_in_bucket, unused_port):
    job = job_in_bucket
    job.save(1)
    fields = {"artifact_endpoint": f"http://127.0.0.1:{unused_port}"}
    job.settings = job.settings.model_copy(update=fields)

    with pytest.raises(DriftgateError) as refusal:
        job.next_attempt().restore_newest(job.trainer)

    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
    assert job.saved_steps() == [1]


def out_of_sight(root):
    """As a shared folder that is not mounted on the host of the next attempt; gives what brings it back."""
    aside = root.with_name("unmounted")
    root.rename(aside)

    def mount():
        shutil.rmtree(root)
        aside.rename(root)

    return mount


def test_checkpoints_on_a_folder_that_is_not_mounted_are_waited_for_and_kept(job):
    for step in (1, 2):
        job.save(step)
    mount = out_of_sight(job.settings.resolved_artifact_root())

    with pytest.raises(DriftgateError) as refusal:
        job.next_attempt().restore_newest(job.trainer)

    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
    assert f"does not see {job.directory.parent / '1'}, where the checkpoint of step 2" in str(
        refusal.value
    )
    assert job.events("artifacts_unavailable") == [refusal.value.message]
    assert (job.saved_steps(), job.events("checkpoint_skipped")) == ([2, 1], [])
    mount()
    job.next_attempt().restore_newest(job.trainer)
    assert job.trainer.step == 2


def test_checkpoints_in_a_store_that_the_settings_no_longer_name_are_waited_for(job, tmp_path):
    first, second = ({"artifact_url": f"file://{tmp_path / name}"} for name in ("a", "b"))
    job.settings = job.settings.model_copy(update=first)
    job.next_attempt()
    job.save(1)
    job.settings = job.settings.model_copy(update=second)

    with pytest.raises(DriftgateError) as refusal:
        job.next_attempt().restore_newest(job.trainer)

    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
    assert job.saved_steps() == [1]
    job.settings = job.settings.model_copy(update=first)
    job.next_attempt().restore_newest(job.trainer)
    assert job.trainer.step == 1


def test_a_checkpoint_that_is_gone_is_skipped_for_the_one_before(job):
    for step in (1, 2):
        job.save(step)
    shutil.rmtree(job.directory / "step-2")

    job.next_attempt().restore_newest(job.trainer)

    assert job.trainer.step == 1
    (told,) = job.events("checkpoint_skipped")
    assert told.startswith("Step 2, update 4: This host does not see")


def test_an_empty_folder_in_their_place_says_that_checkpoints_are_gone_for_good(job):
    job.save(1)
    place = job.directory
    shutil.rmtree(place)
    place.mkdir()

    job.next_attempt().restore_newest(job.trainer)

    assert job.trainer.step == 0
    assert len(job.events("checkpoint_skipped")) == 1


@pytest.mark.parametrize("where", ["job", "job_in_bucket"])
def test_the_next_attempt_removes_what_killed_ones_had_not_committed(where, request):
    job = request.getfixturevalue(where)
    job.save(1)
    job.save(2)
    store = job.checkpoints._attempt.artifacts.written
    # As where it was killed before the row, while it wrote, and while it fetched.
    sent = store.local_path(f"jobs/{job.id}/1/step-3") or job.directory / ".unsent" / "step-3"
    sent.mkdir(parents=True)
    (sent / "manifest.json").write_text("{}")
    store.put_folder(sent, f"jobs/{job.id}/1/step-3")
    (job.directory / ".step-4.partial").mkdir()
    with scratch_folder(job.directory) as scratch:
        (scratch / "weights").touch()
        (job.directory / "log.txt").touch()

        job.next_attempt().restore_newest(job.trainer)

        assert not scratch.exists()
    assert job.trainer.step == 2
    assert store.names(f"jobs/{job.id}/1")[-2:] == ["step-1", "step-2"]
    names = sorted(path.name for path in (job.directory.parent / "1").iterdir())
    assert [name for name in names if name.startswith(".")] == []
    assert "log.txt" in names


def test_a_job_begun_in_a_folder_goes_on_when_the_store_has_moved_to_a_bucket(job, bucket):
    job.save(1)
    job.settings = job.settings.model_copy(update=bucket.settings())

    job.next_attempt().restore_newest(job.trainer)
    assert job.trainer.step == 1
    job.save(2)
    job.save(3)

    assert job.saved_steps() == [3, 2]
    assert [name for name in job.files() if "step-" in name] == []
    assert {name.rpartition("/")[0] for name in objects_of(job, bucket)} == {"2/step-2", "2/step-3"}


def test_a_child_that_found_no_room_does_not_cost_the_job_an_attempt(sqlite_url, tmp_path):
    program = tmp_path / "child.py"
    program.write_text(CHILD_WITHOUT_ROOM)
    bench = Bench(sqlite_url, tmp_path / "artifacts", child=program)

    job = bench.run(small_job())

    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    ended = [each for each in bench.jobs.events(job.id).events if each.type == "attempt_ended"]
    assert [each.message for each in ended] == ["The disk is full."]
    assert bench.jobs.claim(queue="default", owner="test", lease_s=30) is not None
    assert not (tmp_path / "artifacts" / "jobs" / job.id / "1" / ".unsent").exists()


def test_a_quick_checkpoint_is_a_phase_of_the_job_only_the_first_time(job):
    for step in (1, 2, 3):
        job.save(step)
    assert job.events("phase_changed") == ["Phase checkpointing.", "Phase training."]
    assert len(job.events("checkpoint_saved")) == 3


def test_a_slow_one_is_a_phase_each_time(job, monkeypatch):
    monkeypatch.setattr(attempt_checkpoints, "SHOWN_S", 0.0)
    for step in (1, 2):
        job.save(step)
    assert job.events("phase_changed") == ["Phase checkpointing.", "Phase training."] * 2
