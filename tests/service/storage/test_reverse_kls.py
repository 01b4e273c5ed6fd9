import pytest

from service.jobs.state import JobState
from service.storage.study_store import StudyStore
from tests.worker_records import a_reverse_kl, an_evaluation_record, an_outcome, an_update


@pytest.fixture
def job(job_store, spec):
    return job_store.create(spec, warnings=(), queue="default")


def claimed(job_store):
    return job_store.claim(queue="default", owner="worker", lease_s=60).lease


def test_a_measurement_is_in_the_results_once_however_often_it_is_written(
    job_store, result_store, job
):
    lease = claimed(job_store)
    for mean in (0.5, 0.25):
        result_store.record_reverse_kl(lease, a_reverse_kl("final", mean))
    result_store.record_reverse_kl(lease, a_reverse_kl("baseline", None, standard_error_nats=None))

    assert result_store.reverse_kls_measured(job.id) == {
        ("baseline", "arithmetic"),
        ("final", "arithmetic"),
    }
    before, after = result_store.results(job.id).reverse_kls
    assert (before.stage, before.mean_nats, before.standard_error_nats) == ("baseline", None, None)
    assert (after.stage, after.mean_nats, after.standard_error_nats) == ("final", 0.5, 0.0625)
    assert (after.estimator, after.num_tokens, after.attempt) == ("full_vocabulary", 100, 1)


def test_an_attempt_that_goes_back_supersedes_what_was_measured_after_training(
    job_store, result_store, job
):
    first = claimed(job_store)
    result_store.record_reverse_kl(first, a_reverse_kl("baseline", 1.0))
    result_store.append_updates(first, [an_update(update) for update in range(1, 10)])
    result_store.record_reverse_kl(first, a_reverse_kl("final", 0.5))
    job_store.release(first, message="crashed", counted=True, max_attempts=100)
    second = claimed(job_store)
    result_store.resume_from(second, update=6)

    assert result_store.reverse_kls_measured(job.id) == {("baseline", "arithmetic")}
    result_store.append_updates(second, [an_update(update) for update in range(7, 10)])
    result_store.record_reverse_kl(second, a_reverse_kl("final", 0.25))
    assert [(one.stage, one.mean_nats) for one in result_store.results(job.id).reverse_kls] == [
        ("baseline", 1.0),
        ("final", 0.25),
    ]


def test_it_goes_with_its_job(job_store, result_store, job):
    lease = claimed(job_store)
    result_store.record_reverse_kl(lease, a_reverse_kl("baseline", 1.0))
    job_store.start_running(lease)
    job_store.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    job_store.delete(job.id)
    assert result_store.reverse_kls_measured(job.id) == set()


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        # (0.5 · 100 + 0.1 · 300) / 400
        ({"arithmetic": 0.5, "other": 0.1}, 0.2),
        ({"arithmetic": 0.5, "other": None}, None),
        ({}, None),
    ],
)
def test_a_study_takes_the_mean_over_the_tokens_of_all_benchmarks_after_training(
    database, job_store, result_store, job, means, expected
):
    lease = claimed(job_store)
    problems = [an_outcome("p0", n=4, c=1)]
    result_store.record_evaluation(lease, an_evaluation_record("final", problems))
    result_store.record_reverse_kl(lease, a_reverse_kl("baseline", 9.0))
    for benchmark, mean in means.items():
        num_tokens = 300 if benchmark == "other" else 100
        record = a_reverse_kl("final", mean, benchmark=benchmark, num_tokens=num_tokens)
        result_store.record_reverse_kl(lease, record)

    found = StudyStore(database).scores([job.id])[job.id].reverse_kl

    assert found == (None if expected is None else pytest.approx(expected))
