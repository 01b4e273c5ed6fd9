from service.storage.evaluation_reads import counts_of
from tests.worker_records import a_batch, a_sample, an_evaluation_record, an_outcome, an_update


def a_benchmark(stage, benchmark, counts, **changes):
    """Four samples a problem."""
    problems = [an_outcome(f"p{i}", n=4, c=c) for i, c in enumerate(counts)]
    return an_evaluation_record(stage, problems, benchmark=benchmark, **changes)


def an_evaluated_job(spec, job_store, result_store):
    """Baseline and final of two benchmarks, the final ones by a second attempt, which trained anew."""
    job = job_store.create(spec, warnings=(), queue="default")
    first = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.record_samples(
        first, a_batch("baseline", [a_sample(i, j) for i in range(2) for j in range(4)])
    )
    result_store.record_evaluation(first, a_benchmark("baseline", "words", (0, 1), grader="other"))
    result_store.record_evaluation(first, a_benchmark("baseline", "arithmetic", (4, 4)))
    result_store.append_updates(first, [an_update(1)])
    result_store.record_evaluation(first, a_benchmark("final", "words", (1, 1, 1)))
    job_store.release(first, message="crashed", counted=True, max_attempts=100)
    second = job_store.claim(queue="default", owner="worker", lease_s=60).lease
    result_store.resume_from(second, update=0)
    result_store.append_updates(second, [an_update(1)])
    result_store.record_evaluation(
        second, a_benchmark("final", "words", (3, 0), num_response_tokens=70)
    )
    result_store.record_evaluation(second, a_benchmark("step-0000001", "words", (2, 0)))
    return job.id


def test_counted_evaluations_say_what_the_results_say(spec, job_store, result_store):
    job_id = an_evaluated_job(spec, job_store, result_store)
    results = result_store.results(job_id, include_problems=True).evaluations
    counted = result_store.counted_evaluations(job_id)
    assert [(one.stage, one.benchmark) for one in counted] == [
        ("baseline", "arithmetic"),
        ("baseline", "words"),
        ("step-0000001", "words"),
        ("final", "words"),
    ]
    assert [one.counts for one in counted] == [counts_of(result) for result in results]
    shared = (
        "stage",
        "benchmark",
        "problems_sha256",
        "sampling_sha256",
        "grader",
        "samples_per_problem",
        "mean_response_tokens",
    )
    assert [[getattr(one, name) for name in shared] for one in counted] == [
        [getattr(result, name) for name in shared] for result in results
    ]


def test_a_job_without_evaluations_has_none_counted(spec, job_store, result_store):
    job = job_store.create(spec, warnings=(), queue="default")
    assert result_store.counted_evaluations(job.id) == ()
