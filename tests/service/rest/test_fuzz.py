"""schemathesis over the description of the API: what it promises is held against what a real server answers.

Left out are streams and the archive, which do not end or have no schema (test_hostile.py asks for them), and the
check that everything which the schema allows is accepted: rules across fields are not in it.
"""

import json
from collections import Counter
from contextlib import ExitStack

import httpx
import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine import events

from service.error_catalogue import CATALOGUE
from service.errors import ErrorCode
from service.rest.problems import MEDIA_TYPE
from tests.service.rest.conftest import SPEC
from tests.service.running_service import running_service
from tests.service.studies.played_runs import STUDY

SEED = 20_261_126
PHASES = {
    "examples": {},
    "coverage": {"unexpected-methods": ["put"]},
    "fuzzing": {"generation": {"max-examples": 2}},  # of each operation
    "stateful": {"generation": {"max-examples": 8}},
}
ENDLESS = ("/v1/jobs:watch", "/v1/jobs/{job_id}/events:stream")
WITHOUT_SCHEMA = ("/v1/jobs/{job_id}/checkpoints/{step}:archive",)
CHECKS = {
    "positive_data_acceptance": {"enabled": False},
    # As schemathesis has it, and 413: a list of too many elements may be too large a body.
    "negative_data_rejection": {
        "expected-statuses": [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
    },
}
# Every endpoint may answer these, whether it says so or not.
ANYWHERE = {401, 403, 405, 413, 415, 429, 503}
WEBHOOK = {"url": "https://ci.example.org/hooks"}
# What the ids are called that a collection gives out.
NAMES = {
    "jobs": "job_id",
    "datasets": "dataset_id",
    "webhooks": "webhook_id",
    "studies": "study_id",
}
# A set is named by its content: what was deleted is there again once somebody uploads the same. And to the
# description its body is any text.
DATASETS_DIFFER = {
    "include-path-regex": "^/v1/datasets",
    "checks": {
        "ensure_resource_availability": {"enabled": False},
        "use_after_free": {"enabled": False},
        "negative_data_rejection": {"enabled": False},
    },
}
BODIES = {
    "POST /v1/jobs": SPEC,
    "POST /v1/studies": STUDY,
    "POST /v1/webhooks": WEBHOOK,
    "POST /v1/datasets": b'{"id": "1", "problem": "1 + 1", "answer": "2"}\n',
}


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def jsonl(_context, value):
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture
def serve(settings_factory, redis_url, unused_port):
    with ExitStack() as stack:

        def start(database_url):
            settings = settings_factory(
                database_url=database_url,
                broker_url=redis_url,
                max_body_bytes=100_000,
                # Nothing listens there, so a hub model is refused at once on every machine.
                hub_endpoint="http://127.0.0.1:9",
                hub_cache_dir="/nonexistent",
            )
            return stack.enter_context(running_service(settings, unused_port))

        yield start


@pytest.fixture
def no_defects(caplog):
    yield
    assert [
        each.getMessage() for each in caplog.get_records("call") if each.levelname == "ERROR"
    ] == []


def description_of(service, *, phases, operations=()):
    """Of some phases of schemathesis, with a fixed seed and without a time limit: a run repeats."""
    config = schemathesis.Config.from_dict(
        {
            "seed": SEED,
            "generation": {"deterministic": True, "database": "none", "no-shrink": True},
            "continue-on-failure": True,
            "request-timeout": 30,
            "checks": CHECKS,
            # A wait for news is no finding.
            "parameters": {"header.prefer": "wait=0", "query.validate_only": False},
            "phases": {
                name: {"enabled": name in phases, **options} for name, options in PHASES.items()
            },
            "operations": [DATASETS_DIFFER, *operations],
        }
    )
    description = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=config)
    description = description.exclude(path=[*ENDLESS, *WITHOUT_SCHEMA])
    made = Made(service)

    @description.hook
    def map_case(context, case):
        return made.used_in(case, label=context.operation.label)

    @description.hook
    def after_call(_context, case, response):
        made.remember(case, response)

    return description


class Made:
    """What requests have made: other requests are about it, where they would be about what is not there."""

    def __init__(self, service):
        self._ids = {"job_id": [], "dataset_id": [], "webhook_id": [], "study_id": []}
        for _ in range(5):
            for path, body in (("jobs", SPEC), ("webhooks", WEBHOOK), ("studies", STUDY)):
                made = httpx.post(f"{service.url}/v1/{path}", json=body, timeout=30).json()
                self._ids[NAMES[path]].append(made["id"])

    def used_in(self, case, *, label):
        """Three in four of the requests that are meant to be right, for most random ones cannot be accepted."""
        chance = len(repr(case.body)) + len(repr(case.query)) + len(repr(case.path_parameters))
        is_right = case.meta is None or case.meta.generation.mode.is_positive
        if not is_right or chance % 4 == 0:
            return case
        case.body = BODIES.get(label, case.body)
        for name, ids in self._ids.items():
            if name in case.path_parameters and ids:
                case.path_parameters[name] = ids[-1 - chance % len(ids)]
        return case

    def remember(self, case, response):
        ids = self._ids.get(NAMES.get(case.path.removeprefix("/v1/"), ""))
        if case.method == "POST" and ids is not None and response.status_code == 201:
            ids.append(response.json()["id"])


def findings(description):
    """What broke a promise, each once by operation and kind, with the request; and the counts of the statuses."""
    found: dict[tuple[str, str], str] = {}
    statuses: Counter[tuple[str, int]] = Counter()
    for event in engine.from_schema(description).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found[event.__class__.__name__, ""] = str(vars(event))
        if not isinstance(event, events.ScenarioFinished):
            continue
        for case_id, checks in event.recorder.checks.items():
            label = event.recorder.cases[case_id].value.operation.label
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info
                    found[label, failure.failure.title] = (
                        f"{failure.failure.message}\n{failure.code_sample[:2000]}"
                    )
        for case_id, interaction in event.recorder.interactions.items():
            operation = event.recorder.cases[case_id].value.operation
            answer = interaction.response
            if answer is None:
                found[operation.label, "no answer"] = str(interaction.request)
                continue
            statuses[operation.label, answer.status_code] += 1
            if broken := broken_promise(operation, answer):
                found[operation.label, broken] = (
                    f"{interaction.request.method} {interaction.request.uri[:1000]}\n"
                    f"{answer.content[:1000]!r}"
                )
    return found, statuses


def broken_promise(operation, answer):
    status = answer.status_code
    if status < 400:
        return None
    if str(status) not in operation.definition.raw["responses"] and status not in ANYWHERE:
        return f"an undocumented {status}"
    if answer.headers["content-type"] != [MEDIA_TYPE]:
        return f"a {status} without problem details"
    code = json.loads(answer.content)["code"]
    if code not in set(ErrorCode) or CATALOGUE[ErrorCode(code)].http_status != status:
        return f"a {status} of code {code}"
    return None


def explained(found):
    return "\n\n".join(f"{label}: {kind}\n{said}" for (label, kind), said in found.items())


# Steps of a scenario go on with what the steps before them made.
REACHED = {
    "GET /v1/jobs/{job_id}",
    "POST /v1/jobs/{job_id}:cancel",
    "POST /v1/datasets",
    "DELETE /v1/datasets/{dataset_id}",
}


def test_every_corner_and_every_sequence_is_answered_as_described(serve, postgres_url, no_defects):
    # The bodies of submissions alone have more corners than all else together; random ones are below.
    without_bodies = [
        {"include-name": name, "phases": {"coverage": {"enabled": False}}}
        for name in ("POST /v1/jobs", "POST /v1/studies")
    ]
    found, statuses = findings(
        description_of(
            serve(postgres_url), phases=("coverage", "stateful"), operations=without_bodies
        )
    )
    assert not found, explained(found)
    assert len({label for label, _ in statuses}) > 45
    assert {label for label, status in statuses if status < 300} >= REACHED


def test_random_requests_and_sequences_are_answered_as_described(serve, sqlite_url, no_defects):
    found, statuses = findings(description_of(serve(sqlite_url), phases=("fuzzing", "stateful")))
    assert not found, explained(found)
    assert len({label for label, _ in statuses}) > 45
    assert {label for label, status in statuses if status < 300} >= REACHED
