"""Jobs of the built-in models that end within seconds."""

from service.jobs.spec import JobSpec


def small_job(**changes: object) -> JobSpec:
    """Twenty-four steps of two updates with a checkpoint every second step, on 64 held-out samples."""
    fields = {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic", "num_problems": 16}},
        "objective": {"type": "teacher_topk", "k": 4},
        "gate": {"block_size": 16},
        "steps": 24,
        "reuse": {"epochs": 2},
        "rollout": {
            "prompts_per_step": 2,
            "samples_per_prompt": 2,
            "max_prompt_tokens": 64,
            "max_response_tokens": 24,
        },
        "optimizer": {"learning_rate": 1e-3},
        "evaluation": {
            "benchmarks": [
                {"name": "digits", "problems": {"source": "arithmetic", "num_problems": 8}}
            ],
            "samples_per_problem": 8,
            "max_response_tokens": 24,
        },
        "checkpoint": {"every_steps": 2, "keep_last": 2},
        "drift_map_block_size": 8,
        "compute": {"device": "cpu"},
    }
    return JobSpec.model_validate(fields | changes)
