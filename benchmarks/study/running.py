"""A study run by a service of its own, to the end."""

import hashlib
import sys
import time
from pathlib import Path

import httpx

from service.client import Client
from service.demo.own_service import OwnService
from service.jobs.studies import ENDED_STUDY_STATES, Study
from service.jobs.study_spec import StudySpec
from service.jobs.study_verdicts import StudyVerdict

POLL_S = 5.0
UNREACHABLE_AFTER_S = 120.0


def run_study(
    service: OwnService, client: Client, spec: StudySpec
) -> tuple[Study, StudyVerdict, float]:
    """The ended study, its verdict, and the seconds since this call. An interrupted one goes on where it was."""
    started = time.monotonic()
    key = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    study = client.submit_study(spec, idempotency_key=key)
    last_answer, shown = started, -1
    while study.state not in ENDED_STUDY_STATES:
        time.sleep(POLL_S)
        service.check_alive()
        try:
            study = client.study(study.id)
            last_answer = time.monotonic()
        except httpx.TransportError:
            # The tree starts a dead API again.
            if time.monotonic() - last_answer > UNREACHABLE_AFTER_S:
                raise
        progress = study.progress
        percent = 100 * progress.step // max(1, progress.total_steps)
        if percent // 10 > shown:
            shown = percent // 10
            ended = progress.num_runs - progress.num_pending - progress.num_active
            _say(
                f"{spec.name}: {percent} % of the steps, {ended} of {progress.num_runs} runs ended"
            )
    return study, client.study_verdict(study.id), time.monotonic() - started


def write_study(spec: StudySpec, verdict: StudyVerdict, *, seconds: float, path: Path) -> None:
    """What was asked and what was found, to check the tables by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'{{"seconds": {seconds:.0f},\n"spec": {spec.model_dump_json()},\n"verdict": {verdict.model_dump_json()}}}\n'
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
