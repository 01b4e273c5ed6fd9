import pytest
from pydantic import ValidationError

from service.jobs.spec import JobSpec, num_devices_of

MINIMAL = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
}


def test_a_job_computes_on_one_device_unless_it_asks_for_more():
    assert num_devices_of(JobSpec.model_validate(MINIMAL)) == 1
    assert num_devices_of(JobSpec.model_validate(MINIMAL | {"resources": {"gpus": 8}})) == 8


@pytest.mark.parametrize("gpus", [0, 9, 1.5, "two"])
def test_a_number_of_gpus_that_no_host_has_is_refused(gpus):
    with pytest.raises(ValidationError, match=r"resources\.gpus|gpus"):
        JobSpec.model_validate(MINIMAL | {"resources": {"gpus": gpus}})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"compute": {"device": "cpu"}}, "compute.device is cpu"),
        ({"compute": {"engine": "vllm"}}, "compute.engine is vllm"),
        ({"compute": {"compile": True}}, "compute.compile is true"),
        ({"compute": {"offload": "teacher"}}, "compute.offload is teacher"),
        ({"lora": {}}, "lora is set"),
    ],
)
def test_what_works_on_one_gpu_only_is_refused_with_more(fields, told):
    JobSpec.model_validate(MINIMAL | fields)

    with pytest.raises(ValidationError, match=f"resources.gpus is 2, but {told}"):
        JobSpec.model_validate(MINIMAL | fields | {"resources": {"gpus": 2}})
