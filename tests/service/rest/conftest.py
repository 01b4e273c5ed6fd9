"""The REST application on a real database, with a small valid spec."""

import copy

import pytest
from starlette.testclient import TestClient

from service.rest.app import create_app
from service.settings import Settings

ADDRESS = "http://127.0.0.1:8400"

SPEC = {
    "name": "a small job",
    "labels": {"team": "tests"},
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 20}},
    "objective": {"type": "teacher_topk", "k": 4},
    "gate": {"block_size": 16},
    "steps": 5,
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128},
    "evaluation": {
        "benchmarks": [
            {"name": "arithmetic", "problems": {"source": "arithmetic", "num_problems": 20}}
        ],
        "max_response_tokens": 128,
    },
}


@pytest.fixture
def spec():
    return copy.deepcopy(SPEC)


@pytest.fixture
def spec_with(spec):
    """The spec with one field, given by its dotted path, set to a value."""

    def change(path, value):
        *parents, name = path.split(".")
        place = spec
        for parent in parents:
            place = place[int(parent) if parent.isdigit() else parent]
        place[name] = value
        return spec

    return change


@pytest.fixture
def settings(settings_factory, sqlite_url, redis_url) -> Settings:
    return settings_factory(database_url=sqlite_url, broker_url=redis_url, max_body_bytes=100_000)


@pytest.fixture
def client_of():
    def connect(settings):
        return TestClient(create_app(settings), base_url=ADDRESS, raise_server_exceptions=False)

    return connect


@pytest.fixture
def api(settings, client_of):
    with client_of(settings) as client:
        yield client
