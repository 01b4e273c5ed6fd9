from service.jobs.state import JobPhase, JobState
from service.storage.stuck_jobs import tell_of_stuck_jobs


def test_a_running_job_that_does_not_move_gets_an_event_and_runs_on(
    job_store, spec, database, wait_until
):
    running, starting = (job_store.create(spec, warnings=(), queue="default").id for _ in range(2))
    lease = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    job_store.claim(queue="default", owner="worker", lease_s=60)
    job_store.start_running(lease)
    job_store.set_phase(lease, JobPhase.TRAINING)
    assert tell_of_stuck_jobs(database, after_s=60, limit=10) == []
    wait_until(lambda: tell_of_stuck_jobs(database, after_s=0.05, limit=10) == [running])
    event = job_store.events(running).events[-1]
    assert event.type == "stuck"
    assert "in phase training, though worker worker is there" in event.message
    assert job_store.get(running).state is JobState.RUNNING
    assert job_store.get(starting).state is JobState.STARTING
    assert tell_of_stuck_jobs(database, after_s=60, limit=10) == [], "it has just been told"
