"""`python -m worker.regrade JOB`: which verdicts of an ended job the grader of today would change.

Prints one JSON object a changed sample, then a summary; writes nothing. A job of kind `regrade` does the
same and keeps its results.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

from service.errors import DriftgateError
from service.jobs.records import SampleRecord
from service.jobs.spec import JobKind, RegradeJobSpec
from service.preflight.regrade import evaluation_of, find_regraded
from service.settings import Settings, load_settings
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from worker.evaluation.grader import Grader, grader_version
from worker.evaluation.regrade import in_chunks, regrade_samples
from worker.graded_benchmarks import graded_benchmarks


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="driftgate regrade", description=__doc__)
    parser.add_argument("job_id", metavar="JOB", help="the job whose samples are graded anew")
    options = parser.parse_args(arguments)
    try:
        print_changes(options.job_id, settings=load_settings())
    except DriftgateError as refusal:
        sys.stderr.write(f"driftgate regrade: {refusal}\n")
        return 1
    return 0


def print_changes(job_id: str, *, settings: Settings) -> None:
    """Raises as submitting a regrade of the job would."""
    database = Database(settings.resolved_database_url())
    store = ResultStore(database)
    spec = RegradeJobSpec(kind=JobKind.REGRADE, job_id=job_id)
    source = find_regraded(spec, job_store=JobStore(database), result_store=store)
    benchmarks = graded_benchmarks(evaluation_of(source), settings=settings)
    counts: Counter[str] = Counter()
    num_samples = 0
    with Grader() as grader:
        for stage in store.stages_sampled(source.id):
            for samples in in_chunks(store.samples_with_text(source.id, stage=stage)):
                regraded = regrade_samples(samples, benchmarks, grader=grader)
                num_samples += len(samples)
                for before, after in zip(samples, regraded, strict=True):
                    if before.verdict != after.verdict:
                        counts[f"{before.verdict} to {after.verdict}"] += 1
                        _print(_change(stage, before, after))
    summary = {"samples": num_samples, "changed": dict(counts), "grader": grader_version()}
    _print({"summary": {"job_id": source.id} | summary})
    database.close()


def _change(stage: str, before: SampleRecord, after: SampleRecord) -> dict[str, object]:
    return {
        "stage": stage,
        "benchmark": before.benchmark,
        "problem_id": before.problem_id,
        "sample_index": before.sample_index,
        "extracted": after.extracted,
        "verdict_before": before.verdict,
        "layer_before": before.layer,
        "verdict": after.verdict,
        "layer": after.layer,
    }


def _print(row: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
