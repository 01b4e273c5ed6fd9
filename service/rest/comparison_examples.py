"""How far jobs are apart, and how far that can be told, as the OpenAPI description shows it."""

from service.jobs.comparisons import Comparison, SamplePlan
from service.rest.job_examples import EXAMPLE_JOB_ID, EXAMPLE_SPEC
from service.rest.result_examples import BENCHMARK, PASS_AT_8, pass_estimate

UNGATED_JOB_ID = "0199a8c2f3ee7c4e9b1d5e6f7a8b9c0e"

_FIGURES = {
    "difference": pass_estimate(0.005, problems=(-0.038, 0.053), sampling=(-0.047, 0.059)),
    "p_value": 0.92,
    "adjusted_p_value": 0.92,
    "wins": 35,
    "losses": 33,
    "ties": 132,
    "smallest_resolvable_difference": 0.077,
}
EXAMPLE_COMPARISON = Comparison.model_validate(
    {
        "k": 8,
        "reference_job_id": UNGATED_JOB_ID,
        "jobs": [
            {
                "job_id": UNGATED_JOB_ID,
                "name": "arithmetic, top-K without a gate",
                "stage": "final",
                "pass_at_k": {
                    BENCHMARK: pass_estimate(
                        0.405, problems=(0.337, 0.474), sampling=(0.370, 0.445)
                    )
                },
            },
            {
                "job_id": EXAMPLE_JOB_ID,
                "name": EXAMPLE_SPEC["name"],
                "stage": "final",
                "pass_at_k": {BENCHMARK: PASS_AT_8},
            },
        ],
        "pairs": [
            {
                "job_id": EXAMPLE_JOB_ID,
                "comparable": True,
                "reasons": [],
                "benchmarks": {BENCHMARK: _FIGURES},
                "mean": _FIGURES,
            }
        ],
        "spec_differences": [{"field": "gate.granularity", "values": ["none", "block"]}],
        "note": "One run of each job: training-seed variance not included.",
    }
)
EXAMPLE_SAMPLE_PLAN = SamplePlan.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "stage": "final",
        "k": 8,
        "difference": 0.03,
        "power": 0.8,
        "reaches_difference": True,
        "smallest_resolvable_difference": 0.0298,
        "smallest_resolvable_difference_now": 0.0772,
        "benchmarks": [
            {
                "benchmark": BENCHMARK,
                "samples_per_problem": 40,
                "tokens": 634_310,
                "share_of_variance": 1.0,
            }
        ],
        "tokens": 634_310,
    }
)
