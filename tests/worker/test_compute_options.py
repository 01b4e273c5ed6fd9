"""A job with every way to save memory at once: packed rows, checkpointed layers, teacher and optimiser away."""

from service.jobs.catalog import Metric
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.attempt_engines import transformers_engine


def test_a_packed_and_offloaded_job_trains_and_evaluates_both_models(sqlite_url, settings_factory):
    settings = settings_factory(database_url=sqlite_url)
    bench = Bench(sqlite_url, settings.resolved_artifact_root())
    compute = {"device": "cpu", "layout": "packed", "offload": "both"}
    spec = small_job(compute=compute | {"gradient_checkpointing": True}, steps=2)
    evaluation = spec.evaluation.model_copy(update={"evaluate_teacher": True})
    spec = spec.model_copy(update={"evaluation": evaluation})
    job = bench.run_here(spec, settings=settings, make_engine=transformers_engine)
    assert [stage for stage, *_ in bench.outcomes(job.id)] == ["baseline", "final", "teacher"]
    assert [one.stage for one in bench.distances(job.id)] == ["baseline", "final"]
    columns = bench.results.metrics(job.id).columns
    # The first update tells how fast the evaluation before it was, the others have none to tell of.
    first, *others = columns[Metric.EVALUATION_TOKENS_PER_SECOND]
    assert first > 0
    assert others == [None] * 3
    assert 0 < columns[Metric.EVALUATION_MFU][0] < 1
