import pytest

from service.jobs.gate_simulations import GateSimulation
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.worker_records import a_token_drift, an_update


@pytest.fixture
def address(api, settings, spec):
    """Of the simulated gates of a job that kept a first and a second update of a step."""
    database = Database(settings.resolved_database_url())
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    lease = JobStore(database).claim(queue="default", owner="worker", lease_s=60).lease
    updates = [an_update(u, token_drift=a_token_drift([[0.1 * (u - 1)] * 3])) for u in (1, 2)]
    ResultStore(database).append_updates(lease, updates)
    yield f"/v1/jobs/{job_id}/gate:simulate"
    database.close()


def test_a_simulated_gate_is_answered_and_its_etag_spares_the_next(api, address):
    answer = api.get(address, params={"granularity": "token", "ratio_bounds": [0.25, 3]})
    assert answer.status_code == 200
    simulation = GateSimulation.model_validate_json(answer.content)
    assert (simulation.gate.granularity, simulation.gate.block_size) == ("token", 16)
    assert simulation.gate.ratio_bounds == (0.25, 3.0)
    again = api.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("strength=1&adaptive=0.5", "adaptive"),
        ("ratio_bounds=0.5", "ratio_bounds.1"),
        ("ratio_bounds=0.5&ratio_bounds=2&ratio_bounds=3", "ratio_bounds"),
        ("kernel=soft", "kernel"),
        ("strength=nan", "strength"),
        ("block_size=2&block_size=3", "block_size"),
        ("tau=1", "tau"),
    ],
)
def test_a_query_that_names_no_gate_is_refused_by_its_field(api, address, query, field):
    refused = api.get(f"{address}?{query}")
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")
    fields = {violation["field"] for violation in refused.json()["violations"]}
    assert any(name == field or name.startswith(f"{field}.") for name in fields), fields
