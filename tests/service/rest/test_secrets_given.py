"""A secret in the wrong place is refused, and neither the answer nor the log says what it is."""

import pytest

from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, JobSpec
from tests.service.secrets_given import (
    EXPORT_REQUESTS,
    IN_PLACE_OF_A_NAME,
    IN_PLACE_OF_AN_OBJECT,
    MARKER,
    NUMBER,
    SPECS,
    STUDIES,
    UNKNOWN_NAMES,
    URL_WITH_PASSWORD,
    Case,
    bodies_with_urls,
    secret_places,
    with_value,
    wrong_bodies,
)
from tests.service.studies.played_runs import STUDY

pytestmark = pytest.mark.usefixtures("nothing_logged")


@pytest.fixture
def nothing_logged(caplog, capfd):
    caplog.set_level("DEBUG", logger="service")
    yield
    assert str(NUMBER) not in caplog.text
    assert str(NUMBER) not in "".join(capfd.readouterr())


def assert_refused_and_not_shown(post, cases):
    answers = {case.name: post(case.body) for case in cases}
    assert answers
    assert {name for name, each in answers.items() if str(NUMBER) in each.text} == set()
    assert {name for name, each in answers.items() if not 400 <= each.status_code < 500} == set()


@pytest.mark.parametrize("name", SPECS)
def test_no_refused_job_shows_a_secret(api, name):
    assert_refused_and_not_shown(
        lambda body: api.post("/v1/jobs", json=body), wrong_bodies({name: SPECS[name]})
    )


def test_no_refused_study_shows_a_secret(api):
    assert_refused_and_not_shown(
        lambda body: api.post("/v1/studies", json=body), wrong_bodies(STUDIES)
    )


def test_no_refused_change_of_an_arm_shows_a_secret(api):
    cases = [
        Case(f"{place} is {shape}", with_value({}, place, shape))
        for place in secret_places(JobSpec, ())
        for shape in IN_PLACE_OF_A_NAME
    ]
    cases += [Case(f"changes are {shape}", shape) for shape in IN_PLACE_OF_AN_OBJECT]
    assert_refused_and_not_shown(
        lambda changes: api.post(
            "/v1/studies",
            json=STUDY | {"arms": [*STUDY["arms"], {"name": "x", "changes": changes}]},
        ),
        cases,
    )


@pytest.mark.parametrize("name", EXPORT_REQUESTS)
def test_no_refused_export_shows_a_secret(api, name):
    export = f"/v1/jobs/{'0' * 32}/checkpoints/final:export"
    assert_refused_and_not_shown(
        lambda body: api.post(export, json=body), wrong_bodies({name: EXPORT_REQUESTS[name]})
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/webhooks"),
        ("PATCH", f"/v1/webhooks/{'0' * 32}"),
        ("PATCH", f"/v1/jobs/{'0' * 32}"),
        ("POST", "/v1/api-keys"),
    ],
)
def test_no_other_body_shows_what_an_unknown_field_held(api, method, path):
    cases = [Case(unknown, {unknown: MARKER}) for unknown in UNKNOWN_NAMES]
    assert_refused_and_not_shown(
        lambda body: api.request(method, path, json=body), [*cases, Case("a list", [MARKER])]
    )


def test_no_refused_url_shows_its_password(api):
    assert_refused_and_not_shown(lambda body: api.post("/v1/jobs", json=body), bodies_with_urls())


@pytest.mark.parametrize(
    "url",
    [
        URL_WITH_PASSWORD,
        f"https://{MARKER}@host.example/",
        f"https://user:{MARKER}/with/a/slash@host.example/",
        f"ftp://user:{MARKER}@host.example/",
        f"https://user:{MARKER}@host.example/#fragment",
        f"https://user:{MARKER}@host.example/{'x' * 3000}",
        f"https://user:{'x' * 300}{MARKER}@host.example/",
        f"no url, but https://user:{MARKER}@host.example/",
    ],
)
def test_no_refused_webhook_shows_the_password_of_its_url(api, url):
    refused = api.post("/v1/webhooks", json={"url": url})
    assert (refused.status_code, str(NUMBER) in refused.text) == (400, False)


def test_a_refusal_still_says_where_and_what_kind_of_thing_was_given(api):
    _, body = SPECS["distillation"]
    refused = api.post("/v1/jobs", json=with_value(body, ("student", "hub_token"), MARKER))
    (violation,) = refused.json()["violations"]
    assert violation == {
        "field": "student.hub_token",
        "given": "a text that is not shown",
        "allowed": "an object",
    }


def test_fields_that_only_sound_like_secrets_are_shown(api, spec_with):
    refused = api.post("/v1/jobs", json=spec_with("rollout.max_prompt_tokens", 0))
    assert refused.json()["violations"][0]["given"] == "0"


def test_the_places_that_are_tried_are_those_of_the_contract():
    assert secret_places(JobSpec, ()) == (
        ("student", "hub_token"),
        ("teacher", "hub_token"),
        ("teacher", "api_key"),
    )
    assert secret_places(EvaluationJobSpec, ()) == (("model", "hub_token"),)
    assert ("destination", "credentials", "sas_token") in secret_places(ExportJobSpec, ())
    assert ("destination", "token") in secret_places(ExportJobSpec, ())
