import math

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import CheckpointRecord
from service.jobs.state import JobState
from tests.worker_records import an_evaluation_record, an_outcome, an_update


def a_checkpoint(step, *, uri=None, final=False):
    return CheckpointRecord(
        step=step,
        update=6 * step,
        uri=uri or f"/artifacts/step-{step}",
        size_bytes=1000,
        manifest_sha256="a" * 64,
        final=final,
    )


def an_evaluation(stage, counts, *, problems_sha256="b" * 64):
    """Four samples a problem."""
    return an_evaluation_record(
        stage,
        [an_outcome(f"p{i}", n=4, c=c, num_no_answer=4 - c) for i, c in enumerate(counts)],
        problems_sha256=problems_sha256,
        seed=2**63 - 1,
    )


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


def test_updates_are_read_back_in_columns(result_store, job_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.append_updates(lease, [an_update(1, loss=0.5), an_update(2, loss=0.25)])
    result_store.append_updates(lease, [an_update(7, loss=-math.inf)])
    metrics = result_store.metrics(job.id)
    assert (metrics.update, metrics.step, metrics.attempt) == ((1, 2, 7), (1, 1, 2), (1, 1, 1))
    assert metrics.columns == {
        "train/loss": (0.5, 0.25, -math.inf),
        "train/gradient_norm": (1.0, 1.0, 1.0),
    }
    newer = result_store.metrics(job.id, names=["train/loss", "gate/std"], after_update=2)
    assert newer.columns == {"train/loss": (-math.inf,), "gate/std": (None,)}
    assert (job_store.get(job.id).progress.step, job_store.get(job.id).progress.update) == (2, 7)


def test_writing_updates_again_changes_nothing_of_them(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.append_updates(lease, [an_update(1, loss=0.5)])
    result_store.append_updates(lease, [an_update(1, loss=9.0), an_update(2, loss=0.25)])
    assert result_store.metrics(job.id).columns["train/loss"] == (0.5, 0.25)


def test_what_a_later_attempt_computed_anew_is_superseded(
    result_store, job_store, job, start_attempt
):
    first = start_attempt(resume_from=0)
    result_store.append_updates(first, [an_update(update, loss=1.0) for update in range(1, 10)])
    second = start_attempt(resume_from=6)
    assert job_store.get(job.id).progress.update == 6
    assert result_store.metrics(job.id).update == tuple(range(1, 7))
    result_store.append_updates(second, [an_update(7, loss=2.0), an_update(8, loss=2.0)])
    third = start_attempt(resume_from=6)
    result_store.append_updates(third, [an_update(7, loss=3.0)])
    metrics = result_store.metrics(job.id)
    assert metrics.update == tuple(range(1, 8))
    assert metrics.attempt == (1,) * 6 + (3,)
    assert metrics.columns["train/loss"] == (1.0,) * 6 + (3.0,)
    assert result_store.drift_map(job.id).update == tuple(range(1, 8))


def test_a_drift_map_is_padded_to_its_longest_row(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.append_updates(lease, [an_update(1, num_blocks=1), an_update(2, num_blocks=3)])
    drift_map = result_store.drift_map(job.id)
    assert drift_map.block_size == 16
    assert drift_map.num_tokens == ((16, 0, 0), (16, 16, 16))
    assert drift_map.mean_drift_nats == ((-0.1, None, None), (-0.1, -0.1, -0.1))


def test_a_long_drift_map_is_thinned_evenly_and_keeps_the_newest(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.append_updates(lease, [an_update(update) for update in range(1, 31)])
    assert result_store.drift_map(job.id, max_rows=3).update == (10, 20, 30)
    assert result_store.drift_map(job.id, max_rows=1).update == (30,)
    assert result_store.drift_map(job.id, max_rows=2, after_update=26).update == (28, 30)


def test_a_drift_map_of_wide_rows_has_fewer_of_them(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.append_updates(lease, [an_update(i, num_blocks=3) for i in range(1, 7)])
    # Three rows of three blocks are 9 cells, four are 12.
    assert result_store.drift_map(job.id, max_cells=11).update == (2, 4, 6)
    assert result_store.drift_map(job.id, max_cells=11, max_rows=2).update == (3, 6)
    assert result_store.drift_map(job.id, max_cells=2).update == (6,), "one row is always there"
    # The newest of these seven is narrow, the others are not.
    result_store.append_updates(lease, [an_update(7, num_blocks=1)])
    assert result_store.drift_map(job.id, max_cells=11).update == (2, 4, 7)


def test_a_drift_map_has_no_more_than_a_million_cells(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.append_updates(lease, [an_update(1), an_update(2, num_blocks=500_001)])
    assert result_store.drift_map(job.id).update == (2,)


def test_results_give_pass_at_k_and_paired_differences(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.record_evaluation(lease, an_evaluation("final", (4, 2, 1)))
    result_store.record_evaluation(lease, an_evaluation("baseline", (2, 0, 1)))
    results = result_store.results(job.id, include_problems=True)
    baseline, final = results.evaluations
    assert (baseline.stage, final.stage) == ("baseline", "final")
    # pass@1 = c / 4: (2/4 + 0 + 1/4) / 3 and (1 + 2/4 + 1/4) / 3; pass@4 = 1 where any is right.
    assert baseline.pass_at["1"].estimate == pytest.approx(0.25)
    assert baseline.pass_at["4"].estimate == pytest.approx(2 / 3)
    assert final.pass_at["1"].estimate == pytest.approx(7 / 12)
    assert final.pass_at["1"].low <= final.pass_at["1"].estimate <= final.pass_at["1"].high
    (difference,) = results.differences
    assert difference.pass_at["1"].estimate == pytest.approx(1 / 3)
    assert [problem.c for problem in final.problems] == [4, 2, 1]
    assert final.fraction_no_answer == pytest.approx(5 / 12)
    assert final.seed == 2**63 - 1
    assert "training-seed variance not included" in results.note
    assert result_store.results(job.id).evaluations[0].problems == ()


def test_different_problems_are_not_subtracted(result_store, job, start_attempt):
    lease = start_attempt(resume_from=0)
    result_store.record_evaluation(lease, an_evaluation("baseline", (2, 0)))
    result_store.record_evaluation(lease, an_evaluation("final", (4, 2), problems_sha256="c" * 64))
    assert result_store.results(job.id).differences == ()


def test_going_back_supersedes_the_final_evaluation_but_not_the_baseline(
    result_store, job, start_attempt
):
    lease = start_attempt(resume_from=0)
    result_store.record_evaluation(lease, an_evaluation("baseline", (2, 0)))
    result_store.append_updates(lease, [an_update(30)])
    result_store.record_evaluation(lease, an_evaluation("final", (4, 2)))
    start_attempt(resume_from=30)
    both = {("baseline", "arithmetic"), ("final", "arithmetic")}
    assert result_store.evaluated(job.id) == both
    start_attempt(resume_from=24)
    assert result_store.evaluated(job.id) == {("baseline", "arithmetic")}


def test_checkpoints_are_newest_first_and_forgotten_by_address(
    result_store, job_store, job, start_attempt
):
    lease = start_attempt(resume_from=0)
    for step in (1, 2, 3):
        result_store.record_checkpoint(lease, a_checkpoint(step, final=step == 3))
    result_store.record_checkpoint(lease, a_checkpoint(3, final=True))
    result_store.forget_checkpoint(lease, "/artifacts/step-1")
    checkpoints = result_store.latest_checkpoints(job.id)
    assert [(one.step, one.update, one.final) for one in checkpoints] == [
        (3, 18, True),
        (2, 12, False),
    ]
    assert result_store.checkpoints(job.id).checkpoints == tuple(checkpoints)
    saved = [one for one in job_store.events(job.id).events if one.type == "checkpoint_saved"]
    assert len(saved) == 3


def test_a_checkpoint_that_an_attempt_went_back_behind_is_not_resumed_from(
    result_store, job, start_attempt
):
    first = start_attempt(resume_from=0)
    for step in (1, 2):
        result_store.record_checkpoint(first, a_checkpoint(step))
    start_attempt(resume_from=6)
    assert [one.step for one in result_store.latest_checkpoints(job.id)] == [1]


def test_only_a_newer_checkpoint_counts_as_progress(result_store, job_store, job, start_attempt):
    """Attempt 1 saves step 1; attempts 2 and 3 resume there, and 3 saves it once more."""
    result_store.record_checkpoint(start_attempt(resume_from=0), a_checkpoint(1))
    start_attempt(resume_from=6)
    third = start_attempt(resume_from=6)
    result_store.record_checkpoint(third, a_checkpoint(1))
    state = job_store.release(third, message="crashed", counted=True, max_attempts=2)
    assert state is JobState.FAILED
    assert "Attempt 1" not in job_store.get(job.id).failure.message


def test_a_newer_checkpoint_clears_the_count(result_store, job_store, job, start_attempt):
    start_attempt(resume_from=0)
    second = start_attempt(resume_from=0)
    result_store.record_checkpoint(second, a_checkpoint(1))
    state = job_store.release(second, message="crashed", counted=True, max_attempts=2)
    assert state is JobState.QUEUED


def test_a_fenced_attempt_writes_nothing(result_store, job_store, job, start_attempt):
    old = start_attempt(resume_from=0)
    result_store.record_checkpoint(old, a_checkpoint(1))
    start_attempt(resume_from=6)
    before = (job_store.get(job.id), job_store.events(job.id))
    writes = [
        lambda: result_store.append_updates(old, [an_update(1)]),
        lambda: result_store.record_evaluation(old, an_evaluation("baseline", (1,))),
        lambda: result_store.record_checkpoint(old, a_checkpoint(2)),
        lambda: result_store.forget_checkpoint(old, "/artifacts/step-1"),
        lambda: result_store.resume_from(old, update=0),
    ]
    for write in writes:
        with pytest.raises(DriftgateError) as caught:
            write()
        assert caught.value.code is ErrorCode.LEASE_LOST
    assert (job_store.get(job.id), job_store.events(job.id)) == before
    assert result_store.metrics(job.id).update == ()
    assert result_store.evaluated(job.id) == set()
    assert len(result_store.latest_checkpoints(job.id)) == 1


def test_results_of_an_unknown_job_are_not_found(result_store):
    for read in (
        result_store.metrics,
        result_store.drift_map,
        result_store.results,
        result_store.counted_evaluations,
        result_store.checkpoints,
    ):
        with pytest.raises(DriftgateError) as caught:
            read("0" * 32)
        assert caught.value.code is ErrorCode.JOB_NOT_FOUND
