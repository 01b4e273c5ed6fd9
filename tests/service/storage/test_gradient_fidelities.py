import pytest

from service.errors import DriftgateError, ErrorCode
from tests.worker_records import a_gradient_fidelity


@pytest.fixture
def job(job_store, spec):
    return job_store.create(spec, warnings=(), queue="default")


@pytest.fixture
def start_attempt(job, job_store, result_store):
    """A fresh attempt of the one job; the one before, if any, is released first."""
    leases = []

    def start(*, resume_from):
        for lease in leases[-1:]:
            job_store.release(lease, message="crashed", counted=True, max_attempts=100)
        leases.append(job_store.claim(queue="default", owner="worker", lease_s=60).lease)
        result_store.resume_from(leases[-1], update=resume_from)
        return leases[-1]

    return start


def places(found):
    return [(one.step, one.depth, one.attempt) for one in found.measurements]


def test_measurements_are_read_back_by_step_and_depth(result_store, job, start_attempt):
    assert result_store.gradient_fidelity(job.id).measurements == ()
    lease = start_attempt(resume_from=0)
    for step, depth in ((4, 2), (1, 8), (1, 2)):
        result_store.record_gradient_fidelity(lease, a_gradient_fidelity(step=step, depth=depth))
    found = result_store.gradient_fidelity(job.id)
    assert places(found) == [(1, 2, 1), (1, 8, 1), (4, 2, 1)]
    last = found.measurements[-1]
    assert (last.update, last.num_tokens, last.num_fresh_tokens) == (19, 400, 390)
    assert (last.reverse_kl_nats, last.half_cosine) == (0.03, 0.6)
    assert [(one.weighting, one.cosine, one.norm_ratio) for one in last.weightings] == [
        ("job", 0.5, 1.25),
        ("frozen/clip/token", None, None),
    ]


def test_a_measurement_is_written_once(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.record_gradient_fidelity(lease, a_gradient_fidelity(depth=2))
    result_store.record_gradient_fidelity(lease, a_gradient_fidelity(depth=2, num_tokens=9))
    (only,) = result_store.gradient_fidelity(job.id).measurements
    assert only.num_tokens == 400


def test_what_a_later_attempt_measures_anew_takes_its_place(result_store, job, start_attempt):
    first = start_attempt(resume_from=0)
    for step in (1, 2):
        result_store.record_gradient_fidelity(first, a_gradient_fidelity(step=step, depth=2))
    # Where step 2 begins, so that it is measured again.
    second = start_attempt(resume_from=6)
    assert places(result_store.gradient_fidelity(job.id)) == [(1, 2, 1)]
    result_store.record_gradient_fidelity(second, a_gradient_fidelity(step=2, depth=2))
    assert places(result_store.gradient_fidelity(job.id)) == [(1, 2, 1), (2, 2, 2)]
    # Inside step 2, so that it is not.
    start_attempt(resume_from=7)
    assert places(result_store.gradient_fidelity(job.id)) == [(1, 2, 1), (2, 2, 2)]


def test_a_fenced_attempt_writes_none(result_store, job, start_attempt):
    old = start_attempt(resume_from=0)
    start_attempt(resume_from=0)
    with pytest.raises(DriftgateError) as caught:
        result_store.record_gradient_fidelity(old, a_gradient_fidelity(depth=2))
    assert caught.value.code is ErrorCode.LEASE_LOST
    assert result_store.gradient_fidelity(job.id).measurements == ()


def test_an_unknown_job_is_not_found(result_store):
    with pytest.raises(DriftgateError) as caught:
        result_store.gradient_fidelity("0" * 32)
    assert caught.value.code is ErrorCode.JOB_NOT_FOUND
