"""A secret in a spec file is refused, and what the command prints, which CI keeps, does not say what it is."""

import json

import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.service.secrets_given import (
    MARKER,
    NUMBER,
    SPECS,
    STUDIES,
    bodies_with_urls,
    bodies_with_wrong_names,
    wrong_bodies,
)


@pytest.fixture
def printed_by(rest_service, tmp_path):
    """What a command that is refused prints of a file."""

    def run(text, *command):
        file = tmp_path / "spec.yaml"
        file.write_text(text)
        result = CliRunner().invoke(app, [*command, str(file), "--url", rest_service.url])
        assert result.exit_code == 1, result.output
        return result.output

    return run


def is_shown(printed):
    return str(NUMBER) in printed


@pytest.mark.parametrize("name", ["distillation", "export to hub"])
def test_no_refused_job_shows_a_secret(printed_by, name):
    cases = list(wrong_bodies({name: SPECS[name]}))
    assert [
        case.name for case in cases if is_shown(printed_by(json.dumps(case.body), "submit"))
    ] == []


def test_no_refused_job_shows_a_secret_in_place_of_its_name_or_in_a_url(printed_by):
    cases = [*bodies_with_wrong_names(SPECS), *bodies_with_urls()]
    assert [
        case.name for case in cases if is_shown(printed_by(json.dumps(case.body), "submit"))
    ] == []


def test_no_refused_study_shows_a_secret(printed_by):
    cases = list(bodies_with_wrong_names(STUDIES))
    assert [
        case.name
        for case in cases
        if is_shown(printed_by(json.dumps(case.body), "study", "submit"))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        f"student: {{hub_token: {MARKER}",
        f"student:\n  hub_token: *{MARKER}",
        f"student:\n  hub_token: !{MARKER}",
        f"student:\n  hub_token: %{MARKER}",
        f"student:\n\thub_token: {MARKER}",
        f"hub_token: a: {MARKER}",
        f'{{"hub_token" "{MARKER}"}}',
        f"- {MARKER}",
        MARKER,
    ],
)
def test_no_file_that_cannot_be_read_is_quoted(printed_by, text):
    assert not is_shown(printed_by(text, "submit"))
