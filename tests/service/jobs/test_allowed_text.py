import json

import pytest
from pydantic import TypeAdapter, ValidationError

from service.errors import DriftgateError
from service.jobs.allowed_text import allowed_text
from service.jobs.parsing import parse_request, parse_spec
from service.jobs.shown_input import BODIES
from service.jobs.spec_fields import Moment
from service.jobs.teacher_spec import EndpointUrl
from service.jobs.text_patterns import IN_WORDS
from service.jobs.webhooks import WebhookSpec
from service.rest.app import create_app

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
}


@pytest.mark.parametrize(
    ("changes", "given", "allowed"),
    [
        ({"steps": None}, "null", "a whole number"),
        ({"steps": True}, "true", "a whole number"),
        ({"steps": 2.5}, "2.5", "a whole number"),
        ({"steps": 2_000_000}, "2000000", "at most 1,000,000"),
        ({"optimizer": {"learning_rate": 0}}, "0", "more than 0"),
        ({"optimizer": {"beta1": 1}}, "1", "less than 1"),
        ({"optimizer": {"learning_rate": float("inf")}}, "Infinity", "a finite number"),
        ({"optimizer": {"learning_rate": "x"}}, '"x"', "a number"),
        ({"name": 5}, "5", "a text"),
        ({"name": ""}, '""', "at least 1 character"),
        ({"name": "a\nb"}, '"a\\nb"', "one line without control characters"),
        ({"name": "\ud800"}, '"\\ud800"', "a text of whole Unicode characters"),
        ({"labels": []}, "[]", "an object"),
        ({"masked_token_ids": 5}, "5", "a list"),
        ({"evaluation": {"k": []}}, "[]", "at least 1 item"),
        ({"evaluation": {"k": [1] * 17}}, str([1] * 17), "at most 16 items"),
        ({"compute": {"compile": "yes"}}, '"yes"', "true or false"),
        ({"compute": {"device": "tpu"}}, '"tpu"', "auto, cpu, cuda"),
        ({"gate": {"kernel": "foo"}}, '"foo"', "exp, reciprocal, hard, ratio"),
        ({"kind": None, "steps": 1}, "null", "distillation"),
        ({"objective": {"type": "x"}}, '"x"', "sampled_token, teacher_topk"),
        ({"objective": {}}, "nothing", "a value, for it has no default"),
    ],
)
def test_a_refused_value_is_shown_as_json_and_what_is_allowed_in_plain_words(
    changes, given, allowed
):
    with pytest.raises(DriftgateError) as refused:
        parse_spec(SPEC | changes)
    (violation,) = refused.value.violations
    assert (violation.given, violation.allowed) == (given, allowed)


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({"profile": "qwen3-think", "top_k": None}, "null"),
        ({"profile": "paper", "top_k": 5}, "5"),
    ],
)
def test_a_profile_is_contradicted_in_the_words_of_json(changes, given):
    with pytest.raises(DriftgateError) as refused:
        parse_spec(SPEC | {"evaluation": changes})
    assert refused.value.violations[0].given == given
    assert "None" not in refused.value.message


@pytest.mark.parametrize("time", ["2026-01-02T03:04:05", "x", "2026-01-02", "2026-13-02", True])
def test_a_wrong_time_is_answered_with_an_example(time):
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Moment).validate_python(time)
    assert "such as 2026-01-31T12:00:00Z" in allowed_text(refused.value.errors()[0])


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_a_wrong_port_is_answered_with_those_that_are_right(port):
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(EndpointUrl).validate_python(f"https://host:{port}/v1")
    assert allowed_text(refused.value.errors()[0]) == "a port from 1 to 65535"


def test_a_pattern_is_told_in_words():
    with pytest.raises(DriftgateError) as refused:
        parse_request(WebhookSpec, {"url": "host"})
    (violation,) = refused.value.violations
    assert violation.allowed.startswith("http:// or https:// and an address")


def test_every_pattern_that_a_request_is_held_against_has_words(settings_factory, sqlite_url):
    schemas = [
        *(body.model_json_schema() for body in BODIES),
        create_app(settings_factory(database_url=sqlite_url)).openapi()["paths"],
    ]
    found = []
    json.loads(json.dumps(schemas), object_hook=lambda part: found.append(part.get("pattern")))
    patterns = set(filter(None, found))
    assert len(patterns) > 15
    assert patterns - IN_WORDS.keys() == set()


def test_words_of_patterns_are_short_enough_for_the_trailers_of_grpc():
    assert [words for words in IN_WORDS.values() if len(words.encode()) > 120] == []
