"""Requests about jobs as the OpenAPI description shows them."""

from typing import Any

from fastapi.openapi.models import Example

EXAMPLE_JOB_ID = "0199a8c2f3d07c4e9b1d5e6f7a8b9c0d"
EXAMPLE_SPEC: dict[str, Any] = {
    "name": "arithmetic, top-K with the block gate",
    "labels": {"team": "maths"},
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 2000}},
    "objective": {"type": "teacher_topk", "k": 4},
    "gate": {"granularity": "block", "block_size": 16},
    "steps": 30,
    "rollout": {
        "prompts_per_step": 16,
        "samples_per_prompt": 4,
        "max_prompt_tokens": 64,
        "max_response_tokens": 128,
        "top_p": 1.0,
    },
    "optimizer": {"learning_rate": 0.0004},
    "evaluation": {
        "benchmarks": [
            {"name": "arithmetic", "problems": {"source": "arithmetic", "num_problems": 200}}
        ],
        "max_response_tokens": 128,
        "top_p": 1.0,
    },
    "drift_map_block_size": 16,
    "seed": 7,
}
EXAMPLE_EVALUATION = {
    "kind": "evaluation",
    "model": {"model": "builtin/arithmetic-teacher"},
    "max_prompt_tokens": 64,
    "evaluation": EXAMPLE_SPEC["evaluation"],
}
EXAMPLE_WITH_REMOTE_TEACHER = EXAMPLE_SPEC | {
    "name": "a teacher on a vLLM server",
    "student": {"model": "Qwen/Qwen3-1.7B-Base"},
    "teacher": {
        "model": "Qwen/Qwen3-4B-Base",
        "endpoint": "https://teacher.example:8000/v1",
        "served_model": "teacher",
        "api_key": {"secret": "TEACHER_KEY"},
    },
}
EXAMPLES: dict[str, Example] = {
    "arithmetic": {"summary": "Distil the built-in student", "value": EXAMPLE_SPEC},
    "remote teacher": {
        "summary": "Distil from a model on a vLLM server",
        "value": EXAMPLE_WITH_REMOTE_TEACHER,
    },
    "evaluation": {"summary": "Evaluate a model as it is", "value": EXAMPLE_EVALUATION},
    "regrade": {
        "summary": "Grade the samples of an ended job anew",
        "value": {"kind": "regrade", "job_id": EXAMPLE_JOB_ID},
    },
    "export": {
        "summary": "Copy a job's newest checkpoint to a folder of the workers",
        "value": {
            "kind": "export",
            "job_id": EXAMPLE_JOB_ID,
            "destination": {"type": "folder", "path": "students/first"},
        },
    },
}

PATCH_EXAMPLES: dict[str, Example] = {
    "labels": {
        "summary": "Set one label, remove another",
        "value": {"labels": {"team": "maths", "draft": None}},
    },
    "priority": {"summary": "Take this one first", "value": {"priority": 10}},
}
