"""What clients saw and what SQL holds afterwards: all that the checker looks at, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from service.jobs.state import JobState

if TYPE_CHECKING:
    from tests.chaos.study_history import StudyEvidence


class Verb(StrEnum):
    CREATE = "create"
    GET = "get"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    PATCH = "patch"
    DELETE = "delete"


class Outcome(StrEnum):
    """REFUSED: answered, and nothing was changed. UNKNOWN: the answer was lost, or was that the service is away."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One request of one client, by the clock of the run. code: of a refusal. patched: the value that a patch set."""

    client: str
    verb: Verb
    began_s: float
    ended_s: float
    outcome: Outcome
    job_id: str | None = None
    key: str | None = None
    version: int | None = None
    state: JobState | None = None
    code: str | None = None
    patched: str | None = None

    def __str__(self) -> str:
        said = [str(each) for each in (self.key, self.state, self.code, self.patched) if each]
        version = "" if self.version is None else f" version {self.version}"
        return (
            f"{self.began_s:7.3f} {self.ended_s:7.3f}  {self.client} {self.verb}: {self.outcome}"
            f"{version} {' '.join(said)}"
        )


@dataclass(frozen=True, slots=True)
class Watch:
    """Seqs of one job's events in the order in which a stream, or one that went on from it, brought them."""

    client: str
    job_id: str
    seqs: Sequence[int]
    has_ended: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook's receiver accepted, its signature being right."""

    delivery_id: str
    type: str
    job_id: str
    event_seq: int
    state: str


@dataclass(frozen=True, slots=True)
class Event:
    seq: int
    type: str
    state: JobState
    attempt: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a job's row, as a trigger of the database noted it."""

    job_id: str
    old_state: JobState
    new_state: JobState
    old_version: int
    new_version: int
    old_epoch: int
    new_epoch: int


@dataclass(frozen=True, slots=True)
class Write:
    """A row of metrics or a checkpoint's, with the job's epoch and state at that moment, as a trigger noted them."""

    job_id: str
    kind: str
    epoch: int
    update: int
    job_epoch: int
    job_state: JobState


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it is when everything has ended.

    losses: of the updates that stand, as (update, loss). weights: of the final checkpoint, None where there is none
    or its manifest does not hold. labels: as patched last. study_id: of the study that it is a run of.
    """

    id: str
    key: str | None
    seed: int
    num_updates: int
    state: JobState
    version: int
    epoch: int
    failure_code: str | None
    events: Sequence[Event]
    losses: Sequence[tuple[int, float | None]] = ()
    weights: bytes | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    num_deaths: int = 0
    num_open_attempts: int = 0
    study_id: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """keys: the job of each idempotency key. orphans: processes that outlived the run. ended_by_themselves: processes
    that no fault ended. audited: what the service's own audit found, at any time. quota_left: what is wrong with the count
    of waiting jobs once none waits. unanswered: clients whose requests came to no end. notices: None where no webhook was told. undelivered: deliveries that nobody accepted.
    forgeries: what came with a wrong signature. studies: None where nobody asked for one.
    """

    calls: Sequence[Call]
    watches: Sequence[Watch]
    jobs: Mapping[str, StoredJob]
    deleted: frozenset[str]
    keys: Mapping[str, str]
    changes: Sequence[Change]
    writes: Sequence[Write]
    orphans: Sequence[str] = ()
    ended_by_themselves: Sequence[str] = ()
    audited: Sequence[str] = ()
    quota_left: Sequence[str] = ()
    unanswered: Sequence[str] = ()
    notices: Sequence[Notice] | None = None
    undelivered: Sequence[str] = ()
    forgeries: Sequence[str] = ()
    studies: "StudyEvidence | None" = None


@dataclass(frozen=True, slots=True)
class Violation:
    """What must never be. job_id, study_id: whose history shows it; None where it is no job's, no study's."""

    rule: str
    said: str
    job_id: str | None = None
    study_id: str | None = None

    def __str__(self) -> str:
        of_job = f" (job {self.job_id})" if self.job_id else ""
        of_study = f" (study {self.study_id})" if self.study_id else ""
        return f"{self.rule}: {self.said}{of_job}{of_study}"
