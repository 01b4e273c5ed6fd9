"""A small job's spec and what a worker would record of it."""

from service.jobs.catalog import Metric
from service.jobs.records import BlockDrift, EvaluationRecord, UpdateRecord
from service.jobs.spec import JobSpec
from tests.worker_records import an_evaluation_record, an_outcome


def job_spec(**fields: object) -> JobSpec:
    """Ten steps of two updates on built-in models, with one benchmark of four problems."""
    source = {"source": "arithmetic", "num_problems": 4}
    return JobSpec.model_validate(
        {
            "student": {"model": "builtin/arithmetic-student"},
            "teacher": {"model": "builtin/arithmetic-teacher"},
            "prompts": {"problems": source},
            "steps": 10,
            "gate": {"block_size": 16},
            "drift_map_block_size": 16,
            "evaluation": {"benchmarks": [{"name": "chains", "problems": source}]},
        }
        | fields
    )


def update_record(update: int, *, loss: float = 0.25, gate_std: float = 0.02) -> UpdateRecord:
    """Three blocks: positive drift, negative drift, and one that no response reached."""
    return UpdateRecord(
        step=(update + 1) // 2,
        update=update,
        metrics={
            Metric.LOSS: loss,
            Metric.GRADIENT_NORM: 0.5,
            Metric.DRIFT_MEAN_ABS: 0.01,
            Metric.GATE_STD: gate_std,
            Metric.GATE_MIN: 1 - gate_std,
            Metric.GATE_MAX: 1 + gate_std,
        },
        drift_by_block=(
            BlockDrift(num_tokens=512, mean_drift_nats=0.01, mean_abs_drift_nats=0.02),
            BlockDrift(num_tokens=100, mean_drift_nats=-0.01, mean_abs_drift_nats=0.02),
            BlockDrift(num_tokens=0, mean_drift_nats=None, mean_abs_drift_nats=None),
        ),
    )


def evaluation_record(
    stage: str, *, num_correct: tuple[int, ...], benchmark: str = "chains"
) -> EvaluationRecord:
    return an_evaluation_record(
        stage,
        [an_outcome(f"p{index}", n=8, c=c) for index, c in enumerate(num_correct)],
        benchmark=benchmark,
        max_response_tokens=112,
    )
