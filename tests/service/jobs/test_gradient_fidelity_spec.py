import pytest

from service.errors import DriftgateError
from service.jobs.parsing import parse_spec

BASE = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
}


def violation(wanted: object, **changes: object):
    with pytest.raises(DriftgateError) as caught:
        parse_spec(BASE | {"diagnostics": {"gradient_fidelity": wanted}} | changes)
    (only,) = caught.value.violations
    return only


def test_nothing_is_measured_unless_it_is_asked_for():
    assert parse_spec(BASE).diagnostics.gradient_fidelity is None
    wanted = parse_spec(BASE | {"diagnostics": {"gradient_fidelity": {}}}).diagnostics
    assert wanted.gradient_fidelity.num_batches == 2
    assert wanted.gradient_fidelity.depths == (2, 4, 8)


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        (
            {
                "teacher": {
                    "model": "builtin/arithmetic-teacher",
                    "endpoint": "https://a.example/v1",
                }
            },
            "teacher.endpoint is set",
        ),
        ({"compute": {"engine": "vllm"}}, "compute.engine is vllm"),
        ({"resources": {"gpus": 2}}, "resources.gpus is 2"),
    ],
)
def test_where_it_cannot_be_measured_it_is_refused_with_the_reason(changes: dict, given: str):
    refused = violation({}, **changes)
    assert refused.field == "diagnostics.gradient_fidelity"
    assert given in refused.allowed
    assert "change" in refused.allowed


@pytest.mark.parametrize("depths", [[4, 2], [2, 2]])
def test_depths_ascend(depths: list[int]):
    refused = violation({"depths": depths})
    assert "has to be larger than the one before" in refused.allowed
    assert " ".join(map(str, depths)) in refused.given


@pytest.mark.parametrize(
    "wanted",
    [
        {"num_batches": 0},
        {"num_batches": 9},
        {"depths": []},
        {"depths": [2, 65]},
        {"depths": list(range(9))},
        {"fresh_samples_per_prompt": 0},
    ],
)
def test_what_costs_too_much_is_refused(wanted: dict):
    assert violation(wanted).field.startswith("diagnostics.gradient_fidelity.")
