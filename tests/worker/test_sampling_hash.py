"""The hash of what a model is asked: it tells thinking apart, and stays what it was before that could be said."""

import hashlib
import json

from service.jobs.evaluation_spec import BenchmarkSpec, EvaluationSpec
from service.jobs.problem_sources import ArithmeticSource, PromptFormat
from worker.attempt_evaluation import sampling_sha256


def hash_of(enable_thinking: bool | None) -> str:
    prompt_format = PromptFormat(instruction="Go.", enable_thinking=enable_thinking)
    benchmark = BenchmarkSpec(name="b", problems=ArithmeticSource(), format=prompt_format)
    return sampling_sha256(EvaluationSpec(benchmarks=(benchmark,)), benchmark)


def test_thinking_is_part_of_it_and_silence_leaves_it_as_results_of_earlier_versions_have_it():
    earlier = {
        "temperature": 1.0,
        "top_p": 0.9,
        "top_k": None,
        "max_response_tokens": 16_384,
        "enable_thinking": None,
        "format": {"instruction": "Go.", "chat_template": "auto"},
    }
    digest = hashlib.sha256(json.dumps(earlier, sort_keys=True).encode()).hexdigest()
    assert hash_of(None) == digest
    assert len({hash_of(None), hash_of(True), hash_of(False)}) == 3
