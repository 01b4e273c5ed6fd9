import pytest

from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.worker_records import a_gradient_fidelity

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 8}},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128},
    "diagnostics": {"gradient_fidelity": {"depths": [4]}},
}


@pytest.fixture
def database(api, settings):
    database = Database(settings.resolved_database_url())
    yield database
    database.close()


def test_measurements_are_answered_as_soon_as_they_are_recorded(api, database):
    job_id = api.post("/v1/jobs", json=SPEC).json()["id"]
    address = f"/v1/jobs/{job_id}/gradient-fidelity"
    before = api.get(address)
    assert before.json() == {"job_id": job_id, "measurements": []}
    lease = JobStore(database).claim(queue="default", owner="w", lease_s=60).lease
    result_store = ResultStore(database)
    result_store.resume_from(lease, update=0)
    result_store.record_gradient_fidelity(lease, a_gradient_fidelity(depth=4))

    after = api.get(address, headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    (measurement,) = after.json()["measurements"]
    assert (measurement["step"], measurement["depth"], measurement["attempt"]) == (1, 4, 1)
    assert measurement["weightings"][1] == {
        "weighting": "frozen/clip/token",
        "cosine": None,
        "norm_ratio": None,
    }
    again = api.get(address, headers={"if-none-match": after.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
