import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec

BENCHMARK = {"name": "b", "problems": {"source": "arithmetic"}}


def job(engine, *, rollout=1.0, evaluation=1.0):
    return {
        "student": {"model": "s"},
        "teacher": {"model": "t"},
        "prompts": {"problems": {"source": "arithmetic"}},
        "rollout": {"temperature": rollout},
        "evaluation": {"benchmarks": [BENCHMARK], "temperature": evaluation},
        "compute": {"engine": engine},
    }


def evaluation_job(engine, temperature):
    return {
        "kind": "evaluation",
        "model": {"model": "s"},
        "evaluation": {"benchmarks": [BENCHMARK], "temperature": temperature},
        "compute": {"engine": engine},
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            job("vllm", rollout=2.01),
            r"rollout\.temperature: given 2\.01, allowed: 0\.01 to 2 is what",
        ),
        (job("vllm", evaluation=0.005), r"evaluation\.temperature: given 0\.005"),
        (evaluation_job("vllm", 3), r"evaluation\.temperature: given 3"),
    ],
)
def test_a_temperature_that_vllm_would_change_or_refuse_is_refused(spec, message):
    with pytest.raises(DriftgateError, match=message) as refusal:
        parse_spec(spec)
    assert refusal.value.code is ErrorCode.INVALID_SPEC


def test_other_engines_take_any_temperature_and_vllm_its_ends():
    assert parse_spec(job("transformers", rollout=9)).compute.engine == "transformers"
    assert parse_spec(job("auto", rollout=9)).rollout.temperature == 9
    assert parse_spec(job("vllm", rollout=0.01, evaluation=2)).compute.engine == "vllm"
    assert parse_spec(evaluation_job("vllm", 2)).compute.engine == "vllm"
