"""Studies as clients asked for them and as SQL holds them afterwards: all that the checker looks at, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.jobs.state import JobState
from service.jobs.studies import StudyState
from tests.chaos.history import Outcome, Verb


@dataclass(frozen=True, slots=True)
class StudyCall:
    """One request. study_id: None where the answer was lost. key: of a create."""

    verb: Verb
    outcome: Outcome
    study_id: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class StudyChange:
    """One change of a study's row, as a trigger of the database noted it."""

    study_id: str
    old_state: StudyState
    new_state: StudyState
    old_version: int
    new_version: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A run that was given a job. old_job_id: the one that it had before. num_active: jobs of the study that have not
    ended, with this one, at that moment.
    """

    study_id: str
    arm: str
    seed: int
    old_job_id: str | None
    job_id: str
    num_active: int


@dataclass(frozen=True, slots=True)
class StoredStudyEvent:
    seq: int
    type: str
    state: StudyState


@dataclass(frozen=True, slots=True)
class StoredRun:
    arm: str
    seed: int
    job_id: str | None
    outcome: str | None
    collapsed: bool | None = None


@dataclass(frozen=True, slots=True)
class StudyJob:
    """A job with the labels of a study."""

    id: str
    study_id: str
    arm: str
    seed: int
    state: JobState


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study as it is when everything has ended. pairs: the arms and seeds of its spec."""

    id: str
    key: str | None
    state: StudyState
    reason: str | None
    version: int
    has_finished: bool
    pairs: frozenset[tuple[str, int]]
    max_active_jobs: int
    stops_when_arm_collapses: bool
    runs: Sequence[StoredRun]
    events: Sequence[StoredStudyEvent]


@dataclass(frozen=True, slots=True)
class StudyEvidence:
    """Of all studies of a run; of those that were deleted the changes and submissions alone."""

    calls: Sequence[StudyCall] = ()
    studies: Mapping[str, StoredStudy] = field(default_factory=dict)
    jobs: Sequence[StudyJob] = ()
    changes: Sequence[StudyChange] = ()
    submissions: Sequence[Submission] = ()
