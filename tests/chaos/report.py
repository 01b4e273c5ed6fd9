"""What a run found, for a person who has to repeat it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.history import Evidence, Verb, Violation

HEADING = (
    "seed  database  faults  requests  notices  jobs                                                  "
    "seconds  verdict"
)


@dataclass(frozen=True, slots=True)
class Report:
    """text: the violations, the history of the job with the shortest one, and the faults."""

    seed: int
    kind: str
    num_faults: int
    num_calls: int
    num_notices: int
    states: dict[str, int]
    seconds: float
    violations: Sequence[Violation]
    text: str

    def row(self) -> str:
        """Under `HEADING`."""
        jobs = ", ".join(f"{number} {state}" for state, number in sorted(self.states.items()))
        verdict = f"{len(self.violations)} violations" if self.violations else "nothing lost"
        return (
            f"{self.seed:>4}  {self.kind:<8}  {self.num_faults:>6}  {self.num_calls:>8}  "
            f"{self.num_notices:>7}  {jobs:<52}  {self.seconds:>7.0f}  {verdict}"
        )


def told(
    seed: int, kind: str, evidence: Evidence, violations: Sequence[Violation], log: Sequence[str]
) -> str:
    lines = [f"seed {seed} on {kind}: {len(violations)} violations", *map(str, violations)]
    histories = {
        violation.job_id: _history(evidence, violation.job_id)
        for violation in violations
        if violation.job_id is not None
    }
    if histories:
        job_id = min(histories, key=lambda each: len(histories[each]))
        lines += [f"history of job {job_id}:", *histories[job_id]]
    return "\n".join([*lines, "faults:", *log])


def _history(evidence: Evidence, job_id: str) -> list[str]:
    calls = [call for call in evidence.calls if call.job_id == job_id]
    told = [str(call) for call in calls if call.verb is not Verb.GET or call.version is not None]
    job = evidence.jobs.get(job_id)
    events = job.events if job is not None else ()
    told += [
        f"event {event.seq} attempt {event.attempt} {event.state} {event.type}: {event.message[:200]}"
        for event in events
    ]
    return told
