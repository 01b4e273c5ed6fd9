"""The rules that hold whatever failed, each a function from the evidence to its violations."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from service.jobs.state import EDGES, HELD_STATES, TERMINAL_STATES, JobState
from service.jobs.webhooks import TOLD_STATES
from tests.chaos.history import (
    Call,
    Evidence,
    Notice,
    Outcome,
    StoredJob,
    Verb,
    Violation,
    Write,
)
from tests.chaos.scripted_training import links_of, loss_of, weights_of
from tests.chaos.study_invariants import study_violations_of

Found = Iterator[Violation]

# What may make a job of these tests fail: deaths that the faults brought, never the job itself.
ALLOWED_FAILURES = frozenset({"POISON_QUARANTINED"})
MIN_DEATHS = 3
# How the supervisor tells of a child that nobody killed.
OWN_ENDS = ("ended with status", "ended on signal")


def violations_of(evidence: Evidence) -> list[Violation]:
    return [found for rule in RULES for found in rule(evidence)]


def every_acknowledged_create_exists_once(evidence: Evidence) -> Found:
    """Also where answers were lost: a key gives one job."""
    ids_by_key: dict[str, set[str]] = defaultdict(set)
    for call in evidence.calls:
        if call.verb is Verb.CREATE and call.outcome is Outcome.ACKNOWLEDGED:
            ids_by_key[call.key].add(call.job_id)
    for key, ids in ids_by_key.items():
        if len(ids) > 1:
            yield Violation("created once", f"key {key} was answered with {sorted(ids)}")
        for job_id in ids:
            if job_id not in evidence.jobs and job_id not in evidence.deleted:
                yield Violation("created once", f"the job of key {key} is not there", job_id)
            if job_id in evidence.jobs and evidence.keys.get(key) != job_id:
                yield Violation("created once", f"key {key} is {evidence.keys.get(key)}'s", job_id)


def every_job_was_asked_for_once(evidence: Evidence) -> Found:
    """Those of studies have rules of their own."""
    tried = {call.key for call in evidence.calls if call.verb is Verb.CREATE}
    asked_for = [job.key for job in evidence.jobs.values() if job.study_id is None]
    for key, num_jobs in Counter(asked_for).items():
        if num_jobs > 1:
            yield Violation("created once", f"key {key} made {num_jobs} jobs")
        if key not in tried:
            yield Violation("created once", f"nobody asked for the job of key {key}")


def terminal_states_absorb(evidence: Evidence) -> Found:
    for change in evidence.changes:
        if change.old_state in TERMINAL_STATES and change.new_state is not change.old_state:
            moved = f"moved from {change.old_state} to {change.new_state}"
            yield Violation("terminal states absorb", moved, change.job_id)


def moves_are_edges(evidence: Evidence) -> Found:
    for change in evidence.changes:
        if change.new_state is not change.old_state:
            yield from _edge(change.job_id, change.old_state, change.new_state)
    for job in evidence.jobs.values():
        for before, after in pairwise(job.events):
            if before.state is not after.state:
                yield from _edge(job.id, before.state, after.state)


def _edge(job_id: str, old: JobState, new: JobState) -> Found:
    if new not in EDGES[old]:
        yield Violation("moves are edges", f"{old} to {new}", job_id)


def events_have_no_gap(evidence: Evidence) -> Found:
    for job in evidence.jobs.values():
        seqs = [event.seq for event in job.events]
        if seqs != list(range(1, len(seqs) + 1)):
            yield Violation("events have no gap", f"seqs {seqs}", job.id)
        if not job.events or job.events[-1].state is not job.state:
            yield Violation("events have no gap", f"the last event is not of {job.state}", job.id)


def an_epoch_has_one_writer(evidence: Evidence) -> Found:
    """Epochs begin one by one, each with its claim, and only the newest of a held job writes."""
    for change in evidence.changes:
        is_claim = change.new_state is JobState.STARTING
        is_claim &= change.old_state is not JobState.STARTING
        if change.new_epoch - change.old_epoch != int(is_claim):
            grown = f"epoch {change.old_epoch} became {change.new_epoch} as {change.new_state}"
            yield Violation("one writer", grown, change.job_id)
    for write in evidence.writes:
        if write.epoch != write.job_epoch or write.job_state not in HELD_STATES:
            yield Violation("one writer", _fenced(write), write.job_id)
    for job in evidence.jobs.values():
        attempts = [event.attempt for event in job.events]
        if attempts != sorted(attempts):
            yield Violation("one writer", f"attempts of the events: {attempts}", job.id)


def _fenced(write: Write) -> str:
    return (
        f"attempt {write.epoch} wrote {write.kind} of update {write.update} while the job was "
        f"{write.job_state} in attempt {write.job_epoch}"
    )


def versions_grow(evidence: Evidence) -> Found:
    for change in evidence.changes:
        if change.new_version <= change.old_version:
            stood = f"{change.old_version} became {change.new_version}"
            yield Violation("versions grow", stood, change.job_id)


def nobody_reads_the_past(evidence: Evidence) -> Found:
    """What was answered before a request began, to whomever, is what it sees, or older than that."""
    for job_id, calls in _calls_by_job(evidence).items():
        for later in calls:
            if later.verb is Verb.CREATE:
                continue  # a repeated create is answered with the job as it was made or as it is
            earlier = [call for call in calls if call.ended_s < later.began_s]
            if later.version is not None:
                yield from _version_seen(job_id, earlier, later)
            deletes = [call for call in calls if call.verb is Verb.DELETE]
            is_missed = later.code == "JOB_NOT_FOUND"
            if is_missed and not any(call.began_s < later.ended_s for call in deletes):
                yield Violation("nobody reads the past", f"not found: {later}", job_id)
            gone = [call for call in deletes if _is_ok(call) and call.ended_s < later.began_s]
            if gone and _is_ok(later) and later.verb is not Verb.DELETE:
                yield Violation("nobody reads the past", f"deleted before: {later}", job_id)


def _version_seen(job_id: str, earlier: list[Call], later: Call) -> Found:
    known = [call for call in earlier if call.version is not None]
    newest = max(known, key=lambda call: call.version, default=None)
    if newest is None:
        return
    if later.version < newest.version:
        yield Violation("nobody reads the past", f"{later} after {newest}", job_id)
    if newest.state in TERMINAL_STATES and later.state is not newest.state:
        yield Violation("nobody reads the past", f"{later} after {newest}", job_id)


def acknowledged_requests_are_obeyed(evidence: Evidence) -> Found:
    """A cancel ends in CANCELLED; a patch stays until its client sends another; a deleted job is gone."""
    for job_id, calls in _calls_by_job(evidence).items():
        acknowledged = [call for call in calls if _is_ok(call)]
        job = evidence.jobs.get(job_id)
        if any(call.verb is Verb.DELETE for call in acknowledged):
            if job is not None or job_id not in evidence.deleted:
                yield Violation("requests are obeyed", "the deleted job is there", job_id)
            continue
        if job is None:
            continue
        is_cancelled = any(call.verb is Verb.CANCEL for call in acknowledged)
        if is_cancelled and job.state is not JobState.CANCELLED:
            yield Violation("requests are obeyed", f"cancelled, and is {job.state}", job_id)
        for client in {call.client for call in acknowledged if call.verb is Verb.PATCH}:
            patches = [c for c in calls if c.verb is Verb.PATCH and c.client == client]
            yield from _patch_stays(job, client, patches)


def _patch_stays(job: StoredJob, client: str, patches: list[Call]) -> Found:
    """patches: of one client, in its order. One that was given up on may still be under way when the next is answered."""
    last = max(index for index, call in enumerate(patches) if _is_ok(call))
    allowed = {c.patched for c in patches[last:] if c.outcome is not Outcome.REFUSED}
    allowed |= {c.patched for c in patches[:last] if c.outcome is Outcome.UNKNOWN}
    if job.labels.get(client) not in allowed:
        said = f"the label of {client} is {job.labels.get(client)}, not of {sorted(allowed)}"
        yield Violation("requests are obeyed", said, job.id)


def every_job_ends(evidence: Evidence) -> Found:
    for job in evidence.jobs.values():
        if job.state not in TERMINAL_STATES:
            yield Violation("every job ends", f"is {job.state}", job.id)
        if job.num_open_attempts and job.state in TERMINAL_STATES:
            yield Violation("every job ends", f"{job.num_open_attempts} attempts go on", job.id)
        is_forgiven = job.failure_code in ALLOWED_FAILURES and job.num_deaths >= MIN_DEATHS
        if job.state is JobState.FAILED and not is_forgiven:
            said = f"failed with {job.failure_code} after {job.num_deaths} deaths"
            yield Violation("every job ends", said, job.id)


def succeeded_jobs_are_complete(evidence: Evidence) -> Found:
    """Each update once, with its right value, and the weights that follow from all of them."""
    for job in evidence.jobs.values():
        if job.state is not JobState.SUCCEEDED:
            continue
        links = links_of(job.seed, job.num_updates)
        expected = [(update, loss_of(links[update])) for update in range(1, job.num_updates + 1)]
        if list(job.losses) != expected:
            wrong = sorted(set(expected) ^ set(job.losses), key=lambda pair: pair[0])[:6]
            said = f"{len(job.losses)} of {job.num_updates} updates, wrong or missing: {wrong}"
            yield Violation("succeeded jobs are complete", said, job.id)
        if job.weights is None:
            said = "there is no sound final checkpoint"
            yield Violation("succeeded jobs are complete", said, job.id)
        elif job.weights != weights_of(links[-1]):
            said = "the final weights are not those of all updates"
            yield Violation("succeeded jobs are complete", said, job.id)


def watchers_see_every_event_once(evidence: Evidence) -> Found:
    for watch in evidence.watches:
        seqs = list(watch.seqs)
        if seqs != list(range(1, len(seqs) + 1)):
            yield Violation("watchers see all", f"{watch.client} saw {seqs}", watch.job_id)
        job = evidence.jobs.get(watch.job_id)
        if job is None:
            continue
        if not watch.has_ended or len(seqs) != len(job.events):
            said = f"{watch.client} saw {len(seqs)} of {len(job.events)} events"
            yield Violation("watchers see all", said, watch.job_id)


def webhooks_are_told(evidence: Evidence) -> Found:
    """Of each move at least once, whoever was killed meanwhile; a delivery is of one event, whatever is sent again."""
    if evidence.notices is None:
        return
    for said in evidence.undelivered:
        yield Violation("webhooks are told", f"not delivered: {said}")
    for said in evidence.forgeries:
        yield Violation("webhooks are told", f"not signed: {said}")
    by_delivery: dict[str, set[Notice]] = defaultdict(set)
    told: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for notice in evidence.notices:
        by_delivery[notice.delivery_id].add(notice)
        told[notice.job_id].add((notice.event_seq, notice.type))
    for delivery_id, notices in by_delivery.items():
        if len(notices) > 1:
            yield Violation("webhooks are told", f"delivery {delivery_id} is of {notices}")
    for job in evidence.jobs.values():
        moves = [after for before, after in pairwise(job.events) if before.state != after.state]
        happened = {
            (event.seq, TOLD_STATES[event.state])
            for event in (*job.events[:1], *moves)
            if event.state in TOLD_STATES
        }
        if happened != told[job.id]:
            differ = sorted(happened ^ told[job.id])
            yield Violation("webhooks are told", f"told and happened differ: {differ}", job.id)


def clients_are_answered(evidence: Evidence) -> Found:
    for said in evidence.unanswered:
        yield Violation("clients are answered", said)


def studies_survive(evidence: Evidence) -> Found:
    if evidence.studies is not None:
        yield from study_violations_of(evidence.studies)


def nothing_is_left_behind(evidence: Evidence) -> Found:
    for process in evidence.orphans:
        yield Violation("no orphans", process)
    for said in evidence.quota_left:
        yield Violation("quotas are a recount", said)


def nothing_has_a_defect(evidence: Evidence) -> Found:
    for process in evidence.ended_by_themselves:
        yield Violation("no defects", f"{process} ended by itself")
    for job in evidence.jobs.values():
        for event in job.events:
            if event.type == "attempt_ended" and any(end in event.message for end in OWN_ENDS):
                yield Violation("no defects", event.message, job.id)
    for said in evidence.audited:
        yield Violation("no defects", f"audit: {said}")
    for call in evidence.calls:
        if call.code == "INTERNAL":
            yield Violation("no defects", str(call), call.job_id)


RULES: tuple[Callable[[Evidence], Found], ...] = (
    every_acknowledged_create_exists_once,
    every_job_was_asked_for_once,
    terminal_states_absorb,
    moves_are_edges,
    events_have_no_gap,
    an_epoch_has_one_writer,
    versions_grow,
    nobody_reads_the_past,
    acknowledged_requests_are_obeyed,
    every_job_ends,
    succeeded_jobs_are_complete,
    watchers_see_every_event_once,
    webhooks_are_told,
    clients_are_answered,
    studies_survive,
    nothing_is_left_behind,
    nothing_has_a_defect,
)


def _is_ok(call: Call) -> bool:
    return call.outcome is Outcome.ACKNOWLEDGED


def _calls_by_job(evidence: Evidence) -> dict[str, list[Call]]:
    """In the order in which they began."""
    by_job: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(evidence.calls, key=lambda call: call.began_s):
        if call.job_id is not None:
            by_job[call.job_id].append(call)
    return by_job
