from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from service.jobs.parsing import ANY_JOB_SPEC
from service.jobs.shown_input import MAX_SHOWN_CHARACTERS, place_at, shown
from service.jobs.spec import JobSpec
from service.jobs.study_spec import StudySpec


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        ("é", '"é"'),
        ("a\nb\ud800\u202e", '"a\\nb\\ud800\\u202e"'),
        ([1, "a", [None]], '[1, "a", [null]]'),
        (datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02 00:00:00+00:00"'),
        ("https://user:password@host/", '"https://***@host/"'),
        ("https://user:pass word@host/", '"https://***@host/"'),
        ("https://us#er:password@host/", '"https://***@host/"'),
        ("https:/user:password@host/", '"***@host/"'),
        ("https:\\\\user:password@host/", '"***@host/"'),
        ("//user:password@host/", '"***@host/"'),
        ("user:password@host", '"***@host"'),
        ("https%3A%2F%2Fuser:password@host/", '"***@host/"'),
        ("abfs://container@account.dfs.core.windows.net/path", None),
        ("someone@example.org", None),
    ],
)
def test_a_value_is_shown_as_json_on_one_line(value, text):
    assert shown(value) == (text or f'"{value}"')


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["env"], ["HF_TOKEN=x"]),
        (["environment"], "HF_TOKEN=x"),
        (["name"], [["token", "x"]]),
        (["arms", "0", "overrides"], ["student.hub_token=x"]),
        (["arms", "0", "overrides"], "student.hub_token=x"),
    ],
)
def test_what_is_of_the_wrong_shape_is_not_shown(path, value):
    for model in (StudySpec, None):
        assert "x" not in place_at(path, model=model).shown(value).removeprefix("a text")


def test_numbers_in_place_of_one_are_shown():
    assert place_at(["steps"], model=JobSpec).shown([1, 2]) == "[1, 2]"


@pytest.mark.parametrize(
    "value", ["x" * 10_000, ["x"] * 1_000_000, "https://user:" + "x" * 500 + "@host/" + "x" * 500]
)
def test_a_long_value_is_cut(value):
    text = shown(value)
    assert len(text) == MAX_SHOWN_CHARACTERS + 1
    assert text.endswith("…")


def test_a_password_that_is_longer_than_what_is_shown_is_taken_out_before_the_cut():
    assert shown("https://user:" + "x" * 500 + "@host/") == '"https://***@host/"'


def test_of_an_object_only_fields_of_the_contract_that_hold_no_secret_are_shown():
    place = place_at(["student"], model=JobSpec)
    given = {"model": "m", "hub_token": {"secret": "x"}, "hub_tokn": "x", "revision": None}
    assert place.shown(given) == (
        '{"model": "m", "hub_token": "***", "hub_tokn": "***", "revision": null}'
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (["student", "model"], '"x"'),
        (["student"], "a text that is not shown"),
        (["student", "hub_token"], "a text that is not shown"),
        (["student", "hub_token", "secret"], "a text that is not shown"),
        (["student", "tokn"], "a text that is not shown"),
        (["gate", "kernl"], "a text that is not shown"),
        (["gate", "Key"], "a text that is not shown"),
        (["rollout", "max_prompt_tokens"], '"x"'),
        (["labels", "team"], '"x"'),
        (["labels", "api-key"], "a text that is not shown"),
        (["evaluation", "benchmarks", "0", "name"], '"x"'),
    ],
)
def test_what_is_shown_depends_on_the_place(path, text):
    for model in (JobSpec, None):
        assert place_at(path, model=model).shown("x") == text


def test_a_field_inside_the_name_of_a_secret_is_not_named():
    assert place_at(["student", "hub_token", "x"], model=JobSpec).field == "student.hub_token"


def test_printed_errors_show_no_input():
    given = {"student": {"model": "m", "hub_token": "hf_secret"}}
    for validate in (ANY_JOB_SPEC.validate_python, JobSpec.model_validate):
        with pytest.raises(ValidationError) as refused:
            validate(given)
        assert "hf_secret" not in str(refused.value)
