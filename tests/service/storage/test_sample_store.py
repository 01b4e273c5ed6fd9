import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs import stages
from service.jobs.records import PromptOverlapRecord
from service.jobs.spec import RegradeJobSpec
from service.jobs.state import JobState
from tests.worker_records import a_batch, a_sample, an_evaluation_record, an_outcome, an_update


@pytest.fixture
def start(job_store):
    """Claims a new job of the spec."""

    def claim(spec):
        job_store.create(spec, warnings=(), queue="default")
        return job_store.claim(queue="default", owner="worker", lease_s=60).lease

    return claim


@pytest.fixture
def lease(start, spec):
    return start(spec)


def test_a_batch_is_kept_with_its_texts_and_moves_the_progress(lease, job_store, result_store):
    samples = [a_sample(0, 0), a_sample(0, 1, text="a\x00b\ud800", extracted="4\x002\ud800")]
    result_store.record_samples(lease, a_batch("baseline", samples, total=16))

    progress = job_store.get(lease.job_id).progress
    assert (progress.evaluated_samples, progress.samples_to_evaluate) == (2, 16)
    page = result_store.samples(lease.job_id, page_token=None, limit=10)
    first, hostile = page.samples
    assert (first.problem_id, first.verdict, first.layer, first.text) == (
        "p0",
        "right",
        "string",
        "#### 42",
    )
    assert (hostile.text, hostile.extracted) == ("a\x00b?", "4�2?")
    assert (page.sampling.profile, page.sampling.top_p) == ("paper", 0.9)


def test_a_batch_that_is_written_twice_stands_once(lease, result_store):
    for _ in range(2):
        result_store.record_samples(lease, a_batch("baseline", [a_sample(0), a_sample(1)]))
    assert len(result_store.evaluated_samples(lease.job_id, "baseline")) == 2


def test_samples_come_by_page_and_are_narrowed(lease, result_store):
    samples = [
        a_sample(i, j, verdict="right" if j else "wrong") for i in range(3) for j in range(2)
    ]
    result_store.record_samples(lease, a_batch("baseline", samples))
    result_store.record_samples(lease, a_batch("final", samples[:1]))

    seen, token = [], None
    while True:
        page = result_store.samples(lease.job_id, page_token=token, limit=3)
        seen += [(each.stage, each.problem_id, each.sample_index) for each in page.samples]
        token = page.next_page_token
        if token is None:
            break
    assert seen == [("baseline", f"p{i}", j) for i in range(3) for j in range(2)] + [
        ("final", "p0", 0)
    ]
    wrong = result_store.samples(
        lease.job_id, page_token=None, limit=9, stage="baseline", verdict="wrong", problem_id="p1"
    )
    assert [(each.problem_id, each.sample_index) for each in wrong.samples] == [("p1", 0)]


def test_a_foreign_page_token_is_refused(lease, result_store):
    with pytest.raises(DriftgateError) as refusal:
        result_store.samples(lease.job_id, page_token="WyJhIl0=", limit=1)  # ["a"]
    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT


def test_all_texts_of_a_stage_are_read_a_few_at_a_time(lease, result_store):
    samples = [a_sample(i, text=f"text {i}") for i in range(150)]
    result_store.record_samples(lease, a_batch("baseline", samples))
    texts = [each.text for each in result_store.samples_with_text(lease.job_id, stage="baseline")]
    assert texts == [f"text {i}" for i in range(150)]


def test_samples_of_a_student_that_was_trained_anew_no_longer_stand(lease, job_store, result_store):
    result_store.resume_from(lease, update=0)
    result_store.append_updates(lease, [an_update(u) for u in range(1, 13)])
    for stage in ("baseline", stages.during_training(2)):
        result_store.record_samples(lease, a_batch(stage, [a_sample(0)]))
    job_store.release(lease, message="killed", counted=True, max_attempts=3)
    second = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.resume_from(second, update=6)

    assert len(result_store.evaluated_samples(lease.job_id, "baseline")) == 1
    assert result_store.evaluated_samples(lease.job_id, stages.during_training(2)) == []
    assert result_store.stages_sampled(lease.job_id) == ["baseline"]


def test_samples_stand_where_the_next_attempt_resumes_at_their_update(
    lease, job_store, result_store
):
    result_store.resume_from(lease, update=0)
    result_store.append_updates(lease, [an_update(u) for u in range(1, 31)])
    result_store.record_samples(lease, a_batch("final", [a_sample(0)]))
    job_store.release(lease, message="killed", counted=True, max_attempts=3)
    second = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.resume_from(second, update=30)

    assert len(result_store.evaluated_samples(lease.job_id, "final")) == 1


def test_a_worker_that_lost_its_lease_writes_no_sample(lease, job_store, result_store):
    job_store.release(lease, message="gone", counted=False, max_attempts=3)
    with pytest.raises(DriftgateError) as refusal:
        result_store.record_samples(lease, a_batch("baseline", [a_sample(0)]))
    assert refusal.value.code is ErrorCode.LEASE_LOST


def test_a_regrade_shows_the_verdicts_that_it_changed(lease, start, job_store, result_store):
    result_store.record_samples(lease, a_batch("baseline", [a_sample(0), a_sample(1)]))
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="done")
    regrade = start(RegradeJobSpec(kind="regrade", job_id=lease.job_id))
    judged = [a_sample(0, text=None), a_sample(1, text=None, verdict="wrong", layer="symbolic")]
    result_store.record_samples(regrade, a_batch("baseline", judged))

    changes = result_store.verdict_changes(regrade.job_id, limit=10)
    assert (changes.num_samples, changes.num_changed) == (2, 1)
    (change,) = changes.changes
    assert (change.problem_id, change.verdict_before, change.verdict) == ("p1", "right", "wrong")
    assert change.layer == "symbolic"
    page = result_store.samples(regrade.job_id, page_token=None, limit=1)
    assert page.sampling.profile == "paper", "of the job that it graded"
    with pytest.raises(DriftgateError) as refusal:
        result_store.verdict_changes(lease.job_id, limit=10)
    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT


def test_a_regrade_is_compared_with_the_samples_that_stand(lease, start, job_store, result_store):
    stage = stages.during_training(2)
    result_store.resume_from(lease, update=0)
    result_store.append_updates(lease, [an_update(u) for u in range(1, 13)])
    result_store.record_samples(lease, a_batch(stage, [a_sample(0, verdict="wrong")]))
    job_store.release(lease, message="killed", counted=True, max_attempts=3)
    second = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.resume_from(second, update=6)
    result_store.append_updates(second, [an_update(u) for u in range(7, 13)])
    result_store.record_samples(second, a_batch(stage, [a_sample(0)]))
    job_store.start_running(second)
    job_store.finish(second, state=JobState.SUCCEEDED, failure=None, message="done")
    regrade = start(RegradeJobSpec(kind="regrade", job_id=lease.job_id))
    result_store.record_samples(regrade, a_batch(stage, [a_sample(0, text=None)]))

    changes = result_store.verdict_changes(regrade.job_id, limit=10)

    assert (changes.num_samples, changes.num_changed, changes.changes) == (1, 0, ())


def test_the_overlap_of_prompts_is_in_the_results(lease, result_store):
    record = PromptOverlapRecord("digits", 100, 3, 3, (("a", "b", 0.5),))
    for _ in range(2):
        result_store.record_overlap(lease, record)
    problems = [an_outcome("p0", n=4, c=1)]
    result_store.record_evaluation(lease, an_evaluation_record("baseline", problems))
    (overlap,) = result_store.results(lease.job_id).prompt_overlaps
    assert (overlap.benchmark, overlap.num_overlapping, overlap.num_dropped) == ("digits", 3, 3)
    assert (overlap.examples[0].prompt_id, overlap.examples[0].share) == ("a", 0.5)
