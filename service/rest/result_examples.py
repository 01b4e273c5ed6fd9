"""What a job's evaluations found, as the OpenAPI description shows it."""

from typing import Any

from service.jobs.results import JobResults, SamplePage, VerdictChanges
from service.rest.job_examples import EXAMPLE_JOB_ID, EXAMPLE_SPEC

REGRADE_JOB_ID = "0199a8c3a1387c4e9b1d5e6f7a8b9c0f"
BENCHMARK = EXAMPLE_SPEC["evaluation"]["benchmarks"][0]["name"]
SAMPLING = {
    "profile": "custom",
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": None,
    "max_response_tokens": EXAMPLE_SPEC["evaluation"]["max_response_tokens"],
}


def pass_estimate(
    estimate: float, *, problems: tuple[float, float], sampling: tuple[float, float]
) -> dict[str, float]:
    """A PassEstimate with its two intervals."""
    return {
        "estimate": estimate,
        "low": problems[0],
        "high": problems[1],
        "sampling_low": sampling[0],
        "sampling_high": sampling[1],
    }


PASS_AT_8 = pass_estimate(0.41, problems=(0.342, 0.479), sampling=(0.373, 0.450))

_BASELINE: dict[str, Any] = SAMPLING | {
    "benchmark": BENCHMARK,
    "stage": "baseline",
    "attempt": 1,
    "problems_sha256": "54aa815b0902e855c690d72b7e60080ef637b9342f2cc49d7eebd463d4a14d65",
    "num_problems": 200,
    "samples_per_problem": 8,
    "sampling_sha256": "e7c96381446c3f2aa78a1cfec10521be13b11fd7c14f14b1e6f9b4e306f103a9",
    "grader": "driftgate 1, math-verify 0.9.0, sympy 1.14.0",
    "seed": 0,
    "pass_at": {
        "1": pass_estimate(0.096, problems=(0.071, 0.129), sampling=(0.085, 0.108)),
        "8": pass_estimate(0.33, problems=(0.265, 0.396), sampling=(0.292, 0.374)),
    },
    "maj_at": {"8": {"estimate": 0.117, "low": 0.080, "high": 0.165}},
    "token_budgets": [
        {
            "max_response_tokens": 64,
            "pass_at": {"1": 0.0, "8": 0.0},
            "fraction_truncated": 0.987,
        },
        {
            "max_response_tokens": 128,
            "pass_at": {"1": 0.096, "8": 0.33},
            "fraction_truncated": 0.001,
        },
    ],
    "fraction_no_answer": 0.02,
    "fraction_truncated": 0.001,
    "fraction_loops": 0.0,
    "fraction_grader_timeouts": 0.0,
    "mean_response_tokens": 80.5,
    "num_response_tokens": 128_731,
    "seconds": 2.2,
    "problems": [],
}
_FINAL = _BASELINE | {
    "stage": "final",
    "pass_at": {
        "1": pass_estimate(0.171, problems=(0.134, 0.211), sampling=(0.157, 0.184)),
        "8": PASS_AT_8,
    },
    "maj_at": {"8": {"estimate": 0.267, "low": 0.210, "high": 0.329}},
    "token_budgets": [
        {
            "max_response_tokens": 64,
            "pass_at": {"1": 0.001, "8": 0.005},
            "fraction_truncated": 0.939,
        },
        {
            "max_response_tokens": 128,
            "pass_at": {"1": 0.171, "8": 0.41},
            "fraction_truncated": 0.001,
        },
    ],
    "fraction_no_answer": 0.044,
    "mean_response_tokens": 79.3,
    "num_response_tokens": 126_862,
    "seconds": 2.4,
}
_BASELINE_KL = {
    "benchmark": BENCHMARK,
    "stage": "baseline",
    "attempt": 1,
    "estimator": "full_vocabulary",
    "num_responses": 32,
    "num_tokens": 2547,
    "mean_nats": 0.613,
    "standard_error_nats": 0.051,
    "problems_sha256": "f8e8f0efd462704f0910efd0a9266bbea9ff2a8bcffbcf65be0b76bdd0314568",
    "max_response_tokens": 128,
    "seed": 0,
    "seconds": 0.19,
}
_FINAL_KL = _BASELINE_KL | {
    "stage": "final",
    "num_tokens": 2558,
    "mean_nats": 0.437,
    "standard_error_nats": 0.036,
    "seconds": 0.18,
}
EXAMPLE_RESULTS = JobResults.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "evaluations": [_BASELINE, _FINAL],
        "means": [],
        "differences": [
            {
                "benchmark": BENCHMARK,
                "pass_at": {
                    "1": pass_estimate(0.074, problems=(0.046, 0.105), sampling=(0.057, 0.093)),
                    "8": pass_estimate(0.08, problems=(0.009, 0.152), sampling=(0.025, 0.134)),
                },
            }
        ],
        "prompt_overlaps": [
            {
                "benchmark": BENCHMARK,
                "num_prompts": 2000,
                "num_overlapping": 0,
                "num_dropped": 0,
                "examples": [],
            }
        ],
        "reverse_kls": [_BASELINE_KL, _FINAL_KL],
        "note": "One run per job: training-seed variance not included.",
    }
)
EXAMPLE_SAMPLES = SamplePage.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "sampling": SAMPLING,
        "samples": [
            {
                "stage": "final",
                "benchmark": BENCHMARK,
                "attempt": 1,
                "problem_id": "held-out-0-00000",
                "problem_sha256": "d08ec64f40878c3232dcf893afb909cfa4c20e1ff6352bce6c640bb4dc178cd0",
                "sample_index": 0,
                "seed": 1698407996647213616,
                "prompt_tokens": 39,
                "response_tokens": 94,
                "finish_reason": "stop",
                "is_loop": False,
                "verdict": "right",
                "layer": "string",
                "extracted": "0555",
                "sampling_ms": 1.76,
                "grading_ms": 0.16,
                "text": "a9*2=8\nb8*2=6\nc6+2=8\nd8*0=0\ne0+8=8\nf8+5=3\ng3*0=0\nh0*4=0\ni0*1=0\nj0+5=5\nk5*3=5\n"
                "l5*5=5\n#### 0555",
            }
        ],
        "next_page_token": "WyJmaW5hbCIsICJhcml0aG1ldGljIiwgMCwgMF0=",
    }
)
EXAMPLE_VERDICT_CHANGES = VerdictChanges.model_validate(
    {
        "job_id": REGRADE_JOB_ID,
        "regraded_job_id": EXAMPLE_JOB_ID,
        "num_samples": 3200,
        "num_changed": 1,
        "changes": [
            {
                "stage": "final",
                "benchmark": BENCHMARK,
                "problem_id": "held-out-0-00017",
                "sample_index": 3,
                "extracted": "555",
                "verdict_before": "wrong",
                "layer_before": "string",
                "verdict": "right",
                "layer": "integer",
            }
        ],
    }
)
