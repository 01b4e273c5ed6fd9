"""The rules that hold of studies whatever failed, each a function from the evidence to its violations."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from service.jobs.state import TERMINAL_STATES
from service.jobs.studies import DELETED, ENDED_STUDY_STATES, StudyState
from tests.chaos.history import Outcome, Verb, Violation
from tests.chaos.study_history import StoredStudy, StudyEvidence

Found = Iterator[Violation]

STUDY_EDGES = {
    StudyState.RUNNING: {StudyState.PAUSED, StudyState.CANCELLING, StudyState.COMPLETED},
    StudyState.PAUSED: {StudyState.RUNNING, StudyState.CANCELLING, StudyState.COMPLETED},
    StudyState.CANCELLING: {StudyState.CANCELLED},
    StudyState.CANCELLED: set[StudyState](),
    StudyState.COMPLETED: set[StudyState](),
}


def study_violations_of(evidence: StudyEvidence) -> Found:
    for rule in RULES:
        yield from rule(evidence)


def studies_are_created_once(evidence: StudyEvidence) -> Found:
    """Also where answers were lost: a key gives one study, until that is deleted."""
    creates = [call for call in evidence.calls if call.verb is Verb.CREATE]
    ids_by_key: dict[str | None, set[str | None]] = defaultdict(set)
    for call in creates:
        if call.outcome is Outcome.ACKNOWLEDGED:
            ids_by_key[call.key].add(call.study_id)
    deleted = _ids_of(evidence, Verb.DELETE)
    for key, ids in ids_by_key.items():
        if len(ids) > 1:
            yield Violation("studies are created once", f"key {key} was answered with {ids}")
        for study_id in ids - deleted - evidence.studies.keys():
            yield _violation("studies are created once", f"the study of {key} is gone", study_id)
    tried = {call.key for call in creates}
    for key, number in Counter(study.key for study in evidence.studies.values()).items():
        if number > 1 or key not in tried:
            yield Violation("studies are created once", f"key {key} made {number} studies")


def a_run_is_a_job(evidence: StudyEvidence) -> Found:
    """Each arm has each seed once, and its one job trains that; there is no other job of the study."""
    rule = "a run is a job"
    by_study = defaultdict(list)
    for job in evidence.jobs:
        by_study[job.study_id].append((job.arm, job.seed, job.id))
    deleted = _ids_of(evidence, Verb.DELETE)
    for study_id in by_study.keys() - evidence.studies.keys() - deleted:
        yield _violation(rule, "has jobs and is not there", study_id)
    for study in evidence.studies.values():
        pairs = Counter((run.arm, run.seed) for run in study.runs)
        if pairs != Counter(study.pairs):
            yield _violation(rule, f"its runs are {sorted(pairs.elements())}", study.id)
        of_runs = Counter((run.arm, run.seed, run.job_id) for run in study.runs if run.job_id)
        differ = (of_runs - Counter(by_study[study.id])) + (Counter(by_study[study.id]) - of_runs)
        if differ:
            yield _violation(rule, f"runs and jobs differ in {sorted(differ)}", study.id)
    for submission in evidence.submissions:
        if submission.old_job_id is not None:
            yield _violation(rule, f"was given a second job: {submission}", submission.study_id)


def few_jobs_are_active(evidence: StudyEvidence) -> Found:
    for submission in evidence.submissions:
        study = evidence.studies.get(submission.study_id)
        if study is not None and submission.num_active > study.max_active_jobs:
            said = f"{submission.num_active} jobs of {study.max_active_jobs}: {submission}"
            yield _violation("few jobs are active", said, study.id)


def study_moves_are_edges(evidence: StudyEvidence) -> Found:
    """Also out of the end there is none. What changes a study grows its version by one."""
    for change in evidence.changes:
        if change.new_state is not change.old_state:
            if change.new_state not in STUDY_EDGES[change.old_state]:
                said = f"{change.old_state} to {change.new_state}"
                yield _violation("study moves are edges", said, change.study_id)
        elif change.old_state in ENDED_STUDY_STATES:
            said = f"changed after it was {change.old_state}"
            yield _violation("study moves are edges", said, change.study_id)
        if change.new_version != change.old_version + 1:
            said = f"version {change.old_version} became {change.new_version}"
            yield _violation("study events have no gap", said, change.study_id)


def study_events_have_no_gap(evidence: StudyEvidence) -> Found:
    """One for each submission and for each end of a job, and the last one tells of the study's own end."""
    rule = "study events have no gap"
    for study in evidence.studies.values():
        seqs = [event.seq for event in study.events]
        if seqs != list(range(1, study.version + 1)):
            yield _violation(rule, f"version {study.version} with seqs {seqs}", study.id)
        if not study.events or study.events[-1].state is not study.state:
            yield _violation(rule, f"the last event is not of {study.state}", study.id)
        types = Counter(event.type for event in study.events)
        submitted = [run for run in study.runs if run.job_id is not None]
        settled = [run for run in submitted if run.outcome is not None]
        if (types["job_submitted"], types["job_ended"]) != (len(submitted), len(settled)):
            said = f"{types}, but {len(submitted)} runs were submitted and {len(settled)} settled"
            yield _violation(rule, said, study.id)


def studies_end(evidence: StudyEvidence) -> Found:
    """And the state agrees with the runs, and they with their jobs."""
    states = {job.id: job.state for job in evidence.jobs}
    for study in evidence.studies.values():
        if study.state not in ENDED_STUDY_STATES or not study.has_finished:
            yield _violation("studies end", f"is {study.state}", study.id)
        for run in study.runs:
            if run.outcome is None:
                yield _violation("studies end", f"has not settled {run}", study.id)
            if run.job_id is None:
                is_right = run.outcome == study.state == StudyState.CANCELLED
            else:
                is_right = run.outcome == states.get(run.job_id, DELETED)
            if not is_right:
                yield _violation("studies end", f"is {study.state} with {run}", study.id)
    for job in evidence.jobs:
        if job.state not in TERMINAL_STATES:
            yield _violation("studies end", f"its job {job.id} is {job.state}", job.study_id)


def study_requests_are_obeyed(evidence: StudyEvidence) -> Found:
    rule = "study requests are obeyed"
    for study_id in _ids_of(evidence, Verb.CANCEL) & evidence.studies.keys():
        state = evidence.studies[study_id].state
        if state is not StudyState.CANCELLED:
            yield _violation(rule, f"cancelled, and is {state}", study_id)
    for study_id in _ids_of(evidence, Verb.DELETE) & evidence.studies.keys():
        yield _violation(rule, "deleted, and is there", study_id)
    for study in evidence.studies.values():
        if study.stops_when_arm_collapses and _has_collapsed_arm(study):
            is_right = study.state is StudyState.CANCELLED and study.reason is not None
            if not is_right:
                yield _violation(rule, f"an arm collapsed, and it is {study.state}", study.id)


RULES: tuple[Callable[[StudyEvidence], Found], ...] = (
    studies_are_created_once,
    a_run_is_a_job,
    few_jobs_are_active,
    study_moves_are_edges,
    study_events_have_no_gap,
    studies_end,
    study_requests_are_obeyed,
)


def _has_collapsed_arm(study: StoredStudy) -> bool:
    """Whether more than half of the seeds of one arm have collapsed."""
    num_seeds = Counter(arm for arm, _ in study.pairs)
    num_collapsed = Counter(run.arm for run in study.runs if run.collapsed)
    return any(2 * num_collapsed[arm] > number for arm, number in num_seeds.items())


def _ids_of(evidence: StudyEvidence, verb: Verb) -> set[str | None]:
    """Of studies for which such a request was acknowledged."""
    return {
        call.study_id
        for call in evidence.calls
        if call.verb is verb and call.outcome is Outcome.ACKNOWLEDGED
    }


def _violation(rule: str, said: str, study_id: str | None) -> Violation:
    return Violation(rule, said, study_id=study_id)
