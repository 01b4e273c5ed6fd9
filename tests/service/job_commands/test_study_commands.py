"""`driftgate study …` against a real server; nothing but the worker is played."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from service.cli import app
from service.jobs.studies import Study, StudyEvent, StudyPlan
from service.jobs.study_verdicts import StudyVerdict
from tests.service.studies.played_runs import STUDY, play_one


@pytest.fixture
def run(rest_service):
    """Runs a command against the service; its exit status is 0 unless another is expected."""

    def invoke(*arguments, status=0):
        result = CliRunner().invoke(app, ["study", *arguments, "--url", rest_service.url])
        assert result.exit_code == status, result.output
        return result

    return invoke


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY | {"max_active_jobs": 9}))
    return str(path)


@pytest.fixture
def played(run, file, rest_service, rest_client):
    """A study of which both arms of the contrast have run with two seeds."""
    study = Study.model_validate_json(run("submit", file, "--json").stdout)
    for _ in range(6):  # the arms take turns, seed by seed
        play_one(
            rest_service.jobs,
            rest_service.results,
            lambda arm, seed: (0, 0, 0, seed) if arm == "block" else (4, 5, 6, 7),
        )
    return rest_client.resume_study(study.id)  # a round, as the reconciler makes them


def test_a_dry_run_prints_cost_and_resolution_and_creates_nothing(run, file):
    printed = run("submit", file, "--dry-run").stdout
    assert "9 jobs, at most " in printed
    assert "3 seeds cannot resolve anything at 5 %" in printed
    plan = StudyPlan.model_validate_json(run("submit", file, "--dry-run", "--json").stdout)
    assert f"{plan.tokens:,} tokens" in printed
    assert run("list", "--json").stdout == ""


def test_a_study_is_shown_with_its_seeds_as_marks_and_dots_and_its_verdict_contrast_first(
    run, played
):
    lines = run("show", played.id[:30]).stdout.splitlines()
    assert lines[0] == f"{played.id}  running"
    assert "6 of 9 runs ended, 3 active; 6/45 steps" in lines
    (ungated,) = [line for line in lines if line.startswith("ungated (baseline)")]
    # 22 of 32 samples right, in both seeds: two dots at one place.
    assert "●●◐" in ungated
    assert "0.688" in ungated
    assert "◉" in ungated
    block = next(line for line in lines if line.startswith("block"))
    assert "▼▼◐" in block
    assert json.loads(run("show", "latest", "--json").stdout)["id"] == played.id

    lines = run("verdict", "latest").stdout.splitlines()
    assert lines[0] == "The study is running: not final."
    assert lines[1] == "Registered contrast"
    assert lines[2].startswith("block − ungated, pass@1: -0.6")
    assert "at least 6 paired seeds" in lines[2]
    assert any(line.startswith("shuffled-gate  ungated  pass@1") for line in lines)
    assert any("too few seeds" in line for line in lines)
    verdict = StudyVerdict.model_validate_json(run("verdict", played.id, "--json").stdout)
    assert verdict.contrast.num_pairs == 2


def test_a_study_is_steered_listed_and_deleted(run, file):
    study = Study.model_validate_json(run("submit", file, "--json").stdout)
    assert run("pause", study.id).stdout == f"{study.id}  paused\n"
    assert run("resume", study.id).stdout == f"{study.id}  running\n"
    assert run("cancel", "latest").stdout == f"{study.id}  cancelled\n"
    (listed,) = [line.split() for line in run("list").stdout.splitlines()[1:]]
    assert listed[:4] == [study.id, "cancelled", "a", "study"]
    events = [
        StudyEvent.model_validate_json(line)
        for line in run("events", "latest", "--json").stdout.splitlines()
    ]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert run("delete", study.id).stdout == f"{study.id}  deleted\n"
    refused = run("show", "latest", status=1)
    assert "There is no study yet." in refused.output


def test_what_is_no_study_is_refused_by_its_field(run, file):
    refused = run("submit", file, "--set", "seeds=[1]", status=1)
    assert "a study of one seed has no seed variance; at least 3" in refused.output


def test_the_presets_are_listed(run):
    lines = run("presets").stdout.splitlines()
    assert len(lines) == 12
    assert lines[-1].startswith("reuse-1")
