"""A whole job whose gradients are measured on the way: recorded, read back, and trained as without it."""

from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.attempt_engines import transformers_engine

SHORT = {"steps": 2, "evaluation": {}, "checkpoint": {"every_steps": 50}}
WANTED = {"num_batches": 1, "depths": [0, 2]}


def test_a_measured_job_records_its_gradients_and_ends_with_the_same_student(
    sqlite_url, settings_factory
):
    settings = settings_factory(database_url=sqlite_url)
    bench = Bench(sqlite_url, settings.resolved_artifact_root())

    def run(**changes):
        spec = small_job(**SHORT | changes)
        return bench.run_here(spec, settings=settings, make_engine=transformers_engine).id

    plain, measured = run(), run(diagnostics={"gradient_fidelity": WANTED})

    assert bench.results.gradient_fidelity(plain).measurements == ()
    found = bench.results.gradient_fidelity(measured).measurements
    assert [(one.step, one.update, one.depth) for one in found] == [(2, 3, 0), (2, 3, 2)]
    names = ["job", *(f"topk/{gate}" for gate in ("none", "block", "newline_span", "token"))]
    for one in found:
        assert [each.weighting for each in one.weightings] == [*names, "full_vocabulary"]
        assert all(-1 <= each.cosine <= 1 for each in one.weightings)
    assert bench.computed_metrics(measured) == bench.computed_metrics(plain)
    assert bench.final_weights(measured) == bench.final_weights(plain)
