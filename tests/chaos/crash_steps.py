"""The steps of a job's life, each with what comes before it and what the system does once it was cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.jobs.patches import JobPatch
from tests.chaos.crash_points import nth_of
from tests.chaos.history import Outcome, Verb
from tests.chaos.sweep_world import LEASE_S, MAX_ATTEMPTS, SweepWorld, spec_of


def _end(world: SweepWorld, key: str, job_id: str) -> None:
    world.go_on(job_id)


@dataclass(frozen=True, slots=True)
class Step:
    """prepare: from a key to the id of its job, right before the step. act: in the process that is cut off.

    go_on: what follows, to the job's end. until: the start of the first point that is another step's.
    """

    name: str
    prepare: Callable[[SweepWorld, str], str]
    act: Callable[[SweepWorld, str], object]
    go_on: Callable[[SweepWorld, str, str], None] = _end
    until: str | None = None

    def ends_before(self, names: Sequence[str]) -> int:
        """How many of the points are its own."""
        if self.until is None:
            return len(names)
        return next(index for index, name in enumerate(names) if name.startswith(self.until))


def _nothing(world: SweepWorld, key: str) -> str:
    world.told(Verb.CREATE, None, key=key, outcome=Outcome.UNKNOWN)
    return key


def _submit(world: SweepWorld, key: str) -> None:
    world.operations.submit_job(spec_of(key, steps=1), idempotency_key=key)
    world.operations.close()


def _submit_again(world: SweepWorld, key: str, _job_id: str) -> None:
    world.go_on(world.create(key).id)


def _waiting(world: SweepWorld, key: str) -> str:
    return world.create(key).id


def _running(world: SweepWorld, key: str) -> str:
    job_id = world.create(key).id
    world.claim()
    return job_id


def _running_for_long(world: SweepWorld, key: str) -> str:
    job_id = world.create(key, steps=2).id
    world.claim()
    return job_id


def _trained(world: SweepWorld, key: str) -> str:
    job_id = world.create(key).id
    world.run_attempt(world.claim())
    return job_id


def _paused(world: SweepWorld, key: str) -> str:
    job_id = world.create(key).id
    world.jobs.request_pause(job_id)
    return job_id


def _ended(world: SweepWorld, key: str) -> str:
    job_id = _trained(world, key)
    world.finish(world.lease_of(job_id))
    return job_id


def _deleted(world: SweepWorld, key: str) -> str:
    job_id = _ended(world, key)
    world.jobs.delete(job_id)
    world.told(Verb.DELETE, job_id)
    return job_id


def _resumable(world: SweepWorld, key: str) -> str:
    """Its first attempt was cut off after a checkpoint, with another written but not committed."""
    job_id = world.create(key, steps=2).id
    lease = world.claim()
    second_commit = nth_of("INSERT INTO checkpoints", 2)
    world.process.end_at(second_commit, lambda: world.run_attempt(lease))
    world.take_expired()
    world.claim()
    return job_id


def _cancel_again(world: SweepWorld, _key: str, job_id: str) -> None:
    world.jobs.request_cancel(job_id)
    world.told(Verb.CANCEL, job_id)
    world.go_on(job_id)


def _patch(world: SweepWorld, job_id: str) -> None:
    world.operations.patch_job(job_id, JobPatch(labels={"sweep": "1"}))


def _patch_again(world: SweepWorld, _key: str, job_id: str) -> None:
    _patch(world, job_id)
    world.told(Verb.PATCH, job_id, patched="1")
    world.go_on(job_id)


def _delete_again(world: SweepWorld, _key: str, job_id: str) -> None:
    world.jobs.delete(job_id)
    world.told(Verb.DELETE, job_id)
    _clean_up_again(world, _key, job_id)


def _clean_up_again(world: SweepWorld, _key: str, job_id: str) -> None:
    world.clean_up()
    left = world.settings.resolved_artifact_root() / "jobs" / job_id
    assert not left.exists(), f"{left} stays"
    assert world.jobs.folders_to_remove(10) == []


def _run(world: SweepWorld, job_id: str) -> None:
    world.run_attempt(world.lease_of(job_id))


def _finish(world: SweepWorld, job_id: str) -> None:
    world.finish(world.lease_of(job_id))


def _release(world: SweepWorld, job_id: str) -> None:
    world.jobs.release(
        world.lease_of(job_id), message="Crashed.", counted=True, max_attempts=MAX_ATTEMPTS
    )


STEPS = (
    Step("create", _nothing, _submit, _submit_again),
    Step("patch", _waiting, _patch, _patch_again),
    Step("pause", _waiting, lambda world, job_id: world.operations.pause_job(job_id)),
    Step("resume", _paused, lambda world, job_id: world.operations.resume_job(job_id)),
    Step(
        "cancel", _waiting, lambda world, job_id: world.operations.cancel_job(job_id), _cancel_again
    ),
    Step(
        "cancel running",
        _running,
        lambda world, job_id: world.operations.cancel_job(job_id),
        _cancel_again,
    ),
    Step("claim", _waiting, lambda world, _job_id: world.claim()),
    Step(
        "heartbeat",
        _running,
        lambda world, job_id: world.jobs.heartbeat(world.lease_of(job_id), lease_s=LEASE_S),
    ),
    Step("checkpoint", _running_for_long, _run),
    Step("start after a crash", _resumable, _run, until="before INSERT INTO update_metrics"),
    Step("finish", _trained, _finish),
    Step("release", _running, _release),
    Step("take", _running, lambda world, _job_id: world.take_expired()),
    Step(
        "delete", _ended, lambda world, job_id: world.operations.delete_job(job_id), _delete_again
    ),
    Step("clean up", _deleted, lambda world, _job_id: world.clean_up(), _clean_up_again),
)
