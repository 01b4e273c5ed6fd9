"""What a job will take, as the OpenAPI description shows it."""

from service.jobs.plans import Plan
from service.rest.job_examples import EXAMPLE_JOB_ID, EXAMPLE_SPEC

_MODEL = {"embedding": 2880, "body": 97_664, "head": 0, "total": 100_544, "tied": True}
EXAMPLE_PLAN = Plan.model_validate(
    {
        "spec": EXAMPLE_SPEC,
        "warnings": [],
        "student": _MODEL,
        "teacher": _MODEL,
        "trained_parameters": 100_544,
        "memory": [
            {
                "dtype": "float32",
                "student_weights_bytes": 402_176,
                "teacher_weights_bytes": 402_176,
                "optimizer_states_bytes": 804_352,
                "gradients_bytes": 402_176,
                "activations_bytes": 165_003_264,
                "targets_bytes": 458_752,
                "head_chunk_bytes": 12_582_912,
                "rollout_cache_bytes": 12_582_912,
                "rollout_logits_bytes": 11_520,
                "evaluation_cache_bytes": 100_663_296,
                "engine_weights_bytes": 0,
                "peak_bytes": 180_055_808,
            }
        ],
        "step": {
            "rollout": {"tokens": 9216, "flops": 2_403_336_192},
            "teacher_scoring": {"tokens": 12_288, "flops": 3_054_501_888},
            "student_scoring": {"tokens": 0, "flops": 0},
            "updates": {"tokens": 24_576, "flops": 18_163_433_472},
            "total": {"tokens": 46_080, "flops": 23_621_271_552},
        },
        "job": {
            "training": {"tokens": 1_382_400, "flops": 708_638_146_560},
            "evaluation": {"tokens": 472_064, "flops": 123_903_934_464},
            "total": {"tokens": 1_854_464, "flops": 832_542_081_024},
        },
        "time": {
            "seconds_per_step": 0.95,
            "training_seconds": 28.5,
            "evaluation_seconds": 5.0,
            "total_seconds": 33.5,
            "flops_per_second": 24_840_107_971.0,
            "rate_source": f"job {EXAMPLE_JOB_ID}",
        },
        "time_range": None,
        "disk": {
            "models_bytes": 804_352,
            "checkpoint_bytes": 1_407_616,
            "checkpoints_bytes": 4_222_848,
        },
        "unknown": [],
    }
)
