"""/v1/studies as HTTP: statuses, scopes, and what stands in the description."""

import pytest

from service.jobs.api_keys import ApiKeyRequest
from service.rest.study_examples import EXAMPLE_STUDY
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database
from tests.service.studies.played_runs import STUDY


@pytest.fixture
def bearer(settings):
    """The headers of a new key of a scope."""
    database = Database(settings.resolved_database_url())

    def make(scope, **limits):
        key = ApiKeyStore(database).create(ApiKeyRequest(name="a test", scope=scope, **limits)).key
        return {"authorization": f"Bearer {key}"}

    yield make
    database.close()


def test_a_study_answers_201_with_its_address(api):
    made = api.post("/v1/studies", json=STUDY)
    assert made.status_code == 201
    assert api.get(made.headers["location"]).json()["id"] == made.json()["id"]
    assert made.json()["spec"]["max_active_jobs"] == 2
    planned = api.post("/v1/studies?validate_only=true", json=STUDY)
    assert (planned.status_code, planned.json()["num_jobs"]) == (200, 9)


def test_a_refused_study_is_problem_details_with_the_field(api):
    answer = api.post("/v1/studies", json=STUDY | {"seeds": [7]})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_SPEC")
    assert answer.json()["violations"] == [
        {
            "field": "seeds",
            "given": "[7]",
            "allowed": "a study of one seed has no seed variance; at least 3",
        }
    ]
    typed = {"content-type": "application/json"}
    assert api.post("/v1/studies", content=b"{", headers=typed).status_code == 400


def test_a_key_that_may_read_may_not_submit_and_one_that_may_write_may(api, bearer):
    reading, writing = bearer("read"), bearer("write")
    assert api.post("/v1/studies", json=STUDY, headers=reading).status_code == 403
    made = api.post("/v1/studies", json=STUDY, headers=writing)
    assert made.status_code == 201
    path = f"/v1/studies/{made.json()['id']}"
    assert api.get(f"{path}/verdict", headers=reading).status_code == 200
    assert api.post(f"{path}:cancel", headers=reading).status_code == 403
    assert api.get(path).status_code == 401


def test_a_study_never_takes_more_of_the_queue_than_its_key_may(api, bearer):
    headers = bearer("write", max_queued_jobs=3)
    body = STUDY | {"max_active_jobs": 9}
    made = api.post("/v1/studies", json=body, headers=headers)
    assert (made.status_code, made.json()["progress"]["num_active"]) == (201, 3)
    refused = api.post("/v1/jobs", json=STUDY["base"], headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "QUOTA_EXCEEDED")


def test_the_example_of_the_description_is_accepted(api):
    plan = api.post("/v1/studies?validate_only=true", json=EXAMPLE_STUDY)
    assert plan.status_code == 200, plan.text
    assert plan.json()["num_jobs"] == 24
    assert all(one["can_resolve"] for one in plan.json()["resolution"])
