"""Ends a process once at every point of every step of a job's and a study's life, lets the system go on, and checks what is left.

`python -m tests.chaos.sweep KIND DATABASE_URL BROKER_URL FOLDER` prints one JSON object. KIND is `all`, or `database` to
leave out the points of the file system, which are the same on any database. It forks from a process that has
imported everything and has one thread, because a new interpreter for each point would take minutes.
"""

import json
import logging
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.chaos.crash_points import point
from tests.chaos.crash_steps import STEPS, Step
from tests.chaos.invariants import violations_of
from tests.chaos.study_steps import STUDY_STEPS, STUDY_STEPS_OF_DATABASE
from tests.chaos.sweep_world import SweepWorld
from tests.chaos.webhook_step import WEBHOOK_STEP, start_receiver


def sweep(world: SweepWorld, step: Step) -> dict[str, object]:
    """How many points of which kind the step has; every one of them has been fatal when it returns."""
    began = time.monotonic()
    key = f"{step.name} 0"
    job_id = step.prepare(world, key)
    names = world.process.points_of(lambda: step.act(world, job_id))
    step.go_on(world, key, job_id)
    names = names[: step.ends_before(names)]
    for fatal, name in enumerate(names, start=1):
        key = f"{step.name} {fatal}"
        world.point_of_key[key] = name
        job_id = step.prepare(world, key)
        world.process.end_at(point(fatal), partial(step.act, world, job_id))
        step.go_on(world, key, job_id)
    return {
        "step": step.name,
        "points": len(names),
        "kinds": Counter(names),
        "seconds": round(time.monotonic() - began, 2),
    }


def main(kind: str, database_url: str, broker_url: str, folder: str) -> None:
    logging.disable(logging.CRITICAL)  # attempts say much
    world = SweepWorld(
        database_url=database_url,
        broker_url=broker_url,
        folder=Path(folder),
        file_points=kind == "all",
    )
    world.receiver_url = start_receiver(Path(folder))
    study_steps = STUDY_STEPS if kind == "all" else STUDY_STEPS_OF_DATABASE
    steps = [sweep(world, step) for step in (*STEPS, *study_steps, WEBHOOK_STEP)]
    evidence = world.evidence()
    keys = {job.id: job.key for job in evidence.jobs.values()}
    keys |= {study.id: study.key for study in evidence.studies.studies.values()}
    violations = []
    for found in violations_of(evidence):
        key = keys.get(found.study_id or found.job_id)
        violations.append(f"{key} ({world.point_of_key.get(key)}): {found}")
    json.dump({"steps": steps, "violations": violations}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
