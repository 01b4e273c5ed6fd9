"""What a submission notes of the job's needs is what workers are matched by."""

import pytest

from service.jobs.capabilities import Capabilities
from service.jobs.spec import JobSpec
from service.operations import build_operations
from service.storage.job_store import JobStore

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 112},
}
# Weights of both models, two moments and the gradient of the student, in float32.
FLOOR_BYTES = 2_010_880


@pytest.fixture
def submit(database_url, redis_url, settings_factory):
    operations = build_operations(settings_factory(database_url=database_url, broker_url=redis_url))
    yield (
        lambda **compute: (
            operations.submit_job(JobSpec.model_validate(SPEC | {"compute": compute})).id
        )
    )
    operations.close()


def test_a_submitted_job_waits_for_a_worker_with_its_device_and_memory(submit, database):
    def claim(device, memory_bytes):
        found = JobStore(database).claim(
            queue="default",
            owner="worker",
            lease_s=60,
            capabilities=Capabilities(device, memory_bytes),
        )
        return found and found.lease.job_id

    on_gpu = submit(device="cuda")
    assert claim("cpu", None) is None
    assert claim("cuda", None) == on_gpu
    on_cpu = submit(device="cpu")
    assert claim("cpu", FLOOR_BYTES - 1) is None
    assert claim("cpu", FLOOR_BYTES) == on_cpu
