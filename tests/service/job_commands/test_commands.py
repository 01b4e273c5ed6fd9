"""The commands against a real server; nothing but the worker is played."""

import csv
import dataclasses
import hashlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time

import pytest
import typer
from typer.testing import CliRunner

from service.cli import app
from service.client import Client
from service.errors import ErrorCode
from service.job_commands import watching
from service.jobs.catalog import Metric
from service.jobs.plans import Plan
from service.jobs.presets import published_presets
from service.jobs.problem_sources import InlineSource, Problem
from service.jobs.results import Failure, FieldViolation, Job, JobEvent
from service.jobs.spec import JobSpec
from service.jobs.state import JobPhase, JobState
from service.settings import load_settings
from tests.saved_checkpoints import FILES, LOADABLE, saved_job
from tests.service.running_service import in_background, running_service
from tests.worker_records import (
    a_reverse_kl,
    a_token_drift,
    an_evaluation_record,
    an_outcome,
    an_update,
)

SPEC = """
name: a small job
labels: {team: tests}
student: {model: builtin/arithmetic-student}
teacher: {model: builtin/arithmetic-teacher}
prompts: {problems: {source: arithmetic, num_problems: 20}}
steps: 5
rollout: {max_prompt_tokens: 64, max_response_tokens: 128}
"""
ESCAPE = "\x1b["


@pytest.fixture
def service(rest_service):
    return rest_service


@pytest.fixture
def run(service):
    """Runs a command against the service; its exit status is 0 unless another is expected."""

    def invoke(command, *arguments, status=0, stdin=None):
        result = CliRunner().invoke(app, [command, *arguments, "--url", service.url], input=stdin)
        assert result.exit_code == status, result.output
        return result

    return invoke


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture
def submitted(run, file):
    return Job.model_validate_json(run("submit", file, "--json").stdout)


def lines_of(result):
    return [line.split() for line in result.stdout.splitlines()]


def test_a_file_is_submitted_with_single_values_set(run, file, service):
    job = Job.model_validate_json(
        run("submit", file, "--set", "steps=7", "--set", "rollout.top_p=1", "--json").stdout
    )
    assert (job.spec.steps, job.spec.rollout.top_p, job.labels) == (7, 1.0, {"team": "tests"})
    assert service.jobs.get(job.id) == job


def test_a_key_gives_the_same_job_and_standard_input_is_a_file_too(run, file):
    first = run("submit", file, "--idempotency-key", "once").stdout
    assert first == run("submit", "-", "--idempotency-key", "once", stdin=SPEC).stdout
    assert first != run("submit", file).stdout
    assert re.fullmatch(r"[0-9a-f]{32}  queued", first.splitlines()[0])


def test_a_dry_run_shows_the_plan_and_creates_nothing(run, file):
    page = run("submit", file, "--dry-run").stdout
    assert "Nothing was created." in page
    assert "100,544 parameters" in page
    plan = Plan.model_validate_json(run("submit", file, "--dry-run", "--json").stdout)
    assert plan.spec.steps == 5
    assert run("jobs", "--json").stdout == ""


def test_a_refusal_is_a_sentence_and_a_list_of_the_fields_on_standard_error(run, file):
    refused = run("submit", file, "--set", "steps=0", "--set", "gate.block_size=x", status=1)
    assert refused.stdout == ""
    sentence, *violations = refused.stderr.splitlines()
    assert sentence.startswith("driftgate: INVALID_SPEC: ")
    assert [one.split(":")[0] for one in sorted(violations)] == ["  gate.block_size", "  steps"]


def test_jobs_are_listed_newest_first_and_filtered(run, file, submitted):
    other = Job.model_validate_json(
        run("submit", file, "--set", "labels={team: others}", "--json").stdout
    )
    header, *rows = lines_of(run("jobs"))
    assert header[:2] == ["job", "state"]
    assert [row[:2] for row in rows] == [[other.id, "queued"], [submitted.id, "queued"]]
    assert run("jobs", "--limit", "1", "--json").stdout == other.model_dump_json() + "\n"
    labelled = run("jobs", "--label", "team=tests", "--state", "queued", "--json").stdout
    assert [json.loads(line)["id"] for line in labelled.splitlines()] == [submitted.id]
    assert run("jobs", "--model", "builtin/none", "--json").stdout == ""
    assert "KEY=VALUE" in run("jobs", "--label", "team", status=1).stderr


def test_a_job_is_named_by_its_id_the_beginning_of_it_or_as_the_latest(run, file, submitted):
    for reference in (submitted.id, submitted.id[:31], "latest"):
        assert json.loads(run("show", reference, "--json").stdout)["id"] == submitted.id
    time.sleep(0.002)  # the time is part of an id
    second = json.loads(run("submit", file, "--json").stdout)["id"]
    several = run("show", submitted.id[:4], status=1).stderr
    assert submitted.id in several
    assert second in several
    assert "4 characters" in run("show", submitted.id[:3], status=1).stderr
    assert "newest 1,000 jobs" in run("show", "ffff", status=1).stderr


def test_the_beginning_of_an_id_is_looked_for_beyond_a_page_of_long_specs(run, service, submitted):
    problem = Problem(id="1", problem="p" * 65_536)
    prompts = submitted.spec.prompts.model_copy(
        update={"problems": InlineSource(problems=(problem,) * 256)}
    )
    long_spec = submitted.spec.model_copy(update={"prompts": prompts})  # more than a page's
    service.jobs.create(long_spec, warnings=(), queue="default")
    assert json.loads(run("show", submitted.id[:31], "--json").stdout)["id"] == submitted.id


def test_latest_of_no_jobs_is_a_sentence(run):
    assert run("show", "latest", status=1).stderr == (
        "driftgate: JOB_NOT_FOUND: There is no job yet.\n"
    )


def evaluate(service, lease, stage, *right):
    problems = [an_outcome(f"p{place}", n=8, c=c) for place, c in enumerate(right)]
    service.results.record_evaluation(lease, an_evaluation_record(stage, problems))


def test_show_has_progress_results_with_both_intervals_and_the_failure(run, service, submitted):
    lease = service.claim()
    service.jobs.set_phase(lease, JobPhase.TRAINING)
    evaluate(service, lease, "baseline", 2, 4)
    assert "training 0/5 steps" in run("show", "latest").stdout
    evaluate(service, lease, "final", 4, 8)
    service.results.record_reverse_kl(lease, a_reverse_kl("final", 0.25))
    failure = Failure(
        code=ErrorCode.OUT_OF_MEMORY,
        message=f"{ESCAPE}31mToo much.",
        violations=(FieldViolation(field="rollout", given="9", allowed="8"),),
    )
    service.finish(lease, JobState.FAILED, failure)
    page = run("show", "latest").stdout
    # pass@1 of 2/8 and 4/8 is 0.375; of 4/8 and 8/8 it is 0.75.
    baseline, _, final, *_, distance = (
        line for line in page.splitlines() if line.startswith("arithmetic ")
    )
    assert baseline.split()[:4] == ["arithmetic", "baseline", "1", "0.375"]
    assert final.split()[:4] == ["arithmetic", "final", "1", "0.750"]
    assert re.search(r"\[0\.\d{3}, +0\.\d{3}\] +\[0\.\d{3}, 0\.\d{3}\]$", baseline)
    assert distance.split()[:4] == ["arithmetic", "final", "0.2500", "0.0625"]
    assert "builtin/arithmetic-teacher" in page
    assert "failure OUT_OF_MEMORY: �[31mToo much." in page
    assert "rollout: given 9; allowed: 8" in page
    assert ESCAPE not in page


@pytest.mark.parametrize(
    ("state", "status"), [(JobState.SUCCEEDED, 0), (JobState.FAILED, 1), (JobState.CANCELLED, 2)]
)
def test_watching_ends_with_the_job_and_the_status_tells_how(run, service, file, state, status):
    def work():
        lease = service.claim()
        service.jobs.set_phase(lease, JobPhase.TRAINING)
        service.results.append_updates(lease, [an_update(1, loss=0.5)])
        time.sleep(0.2)
        if state is JobState.CANCELLED:
            service.jobs.request_cancel(lease.job_id)
        service.finish(lease, JobState.SUCCEEDED if state is JobState.CANCELLED else state)

    job_id = json.loads(run("submit", file, "--json").stdout)["id"]
    with in_background(work):
        watched = run("watch", job_id, status=status).stdout
    assert watched.splitlines()[-1] == f"a small job  {state}"
    assert ESCAPE not in watched


def test_submitting_and_watching_as_json_is_the_job_at_every_change(
    run, service, file, monkeypatch
):
    is_shown, echo = threading.Event(), typer.echo

    def echo_and_tell(line):
        echo(line)
        is_shown.set()

    def work():
        assert is_shown.wait(timeout=30)
        service.finish(service.claim())

    monkeypatch.setattr(typer, "echo", echo_and_tell)

    with in_background(work):
        output = run("submit", file, "--watch", "--json").stdout
    states = [Job.model_validate_json(line).state for line in output.splitlines()]
    assert states[0] is JobState.QUEUED
    assert states[-1] is JobState.SUCCEEDED
    assert states.index(JobState.SUCCEEDED) == len(states) - 1


@pytest.fixture
def terminal(service):
    """A command on a terminal of its own: what it shows so far, and whether it has ended."""
    main_end, its_end = pty.openpty()
    started = []

    def start(*arguments):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "service.cli", *arguments, "--url", service.url],
                stdin=its_end,
                stdout=its_end,
                stderr=its_end,
                env=os.environ | {"COLUMNS": "150", "TERM": "xterm-256color"},
            )
        )
        os.close(its_end)
        return read_until

    def read_until(wanted):
        """What was shown up to the wanted bytes, or to the end where there are none."""
        shown = b""
        while not wanted or wanted not in shown:
            try:
                shown += os.read(main_end, 65536)
            except OSError:  # the command has ended
                assert not wanted, shown
                break
        return shown.decode(errors="replace")

    yield start
    os.close(main_end)
    for process in started:
        process.kill()
        process.wait()


def test_on_a_terminal_a_bar_shows_phase_steps_loss_and_speed(service, submitted, terminal):
    read_until = terminal("watch", "latest")
    read_until(b"queued")
    lease = service.claim()
    service.jobs.set_phase(lease, JobPhase.TRAINING)
    rollout = {Metric.ROLLOUT_RESPONSE_TOKENS: 600.0, Metric.ROLLOUT_SECONDS: 0.5}
    update = an_update(1, loss=0.25)
    service.results.append_updates(
        lease, [dataclasses.replace(update, metrics=update.metrics | rollout)]
    )
    shown = read_until(b"loss 0.2500  1,200 tokens/s")
    assert "training" in shown
    assert "0/5 steps" in shown
    assert ESCAPE in shown
    service.finish(lease)
    assert "succeeded" in read_until(b"").splitlines()[-1]


def test_ctrl_c_stops_watching_and_leaves_the_job(run, submitted, service, monkeypatch):
    def interrupt(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "wait", interrupt)
    stopped = run("watch", "latest", status=watching.STOPPED_WATCHING)
    assert stopped.stderr == f"Stopped watching; job {submitted.id} goes on.\n"
    assert service.jobs.get(submitted.id).state is JobState.QUEUED


def test_a_job_is_paused_resumed_cancelled_and_deleted(run, submitted):
    assert run("pause", "latest").stdout == f"{submitted.id}  paused\n"
    assert json.loads(run("resume", "latest", "--json").stdout)["state"] == "queued"
    assert run("delete", "latest", status=1).stderr.startswith("driftgate: JOB_STATE_CONFLICT: ")
    assert run("cancel", "latest").stdout == f"{submitted.id}  cancelled\n"
    assert run("delete", "latest").stdout == f"{submitted.id}  deleted\n"
    assert run("show", submitted.id, status=1).stderr.startswith("driftgate: JOB_NOT_FOUND: ")


def evaluated_job(run, service, file, name, *right):
    run("submit", file, "--set", f"name={name}", "--json")
    lease = service.claim()
    evaluate(service, lease, "final", *right)
    service.finish(lease)
    return lease.job_id


def test_jobs_are_compared_with_intervals_and_wins(run, service, file):
    ids = [
        evaluated_job(run, service, file, name, *right)
        for name, right in (("before", (2, 4, 4)), ("after", (4, 4, 2)))
    ]
    title, header, row, *_ = run("compare", *ids, "--k", "1").stdout.splitlines()
    assert title == "after − before, pass@1"
    assert header.split()[-4:] == ["wins", "losses", "ties", "resolvable"]
    # (4 − 2 + 0 + 2 − 4) / 3 / 8 = 0: one problem won, one lost, one tied.
    assert row.split()[:2] == ["arithmetic", "+0.000"]
    assert row.split()[-4:-1] == ["1", "1", "1"]
    compared = json.loads(run("compare", *ids, "--k", "1", "--json").stdout)
    assert compared["pairs"][0]["benchmarks"]["arithmetic"]["ties"] == 1


def test_presets_are_listed_and_printed_as_specs_that_can_be_submitted(run):
    names = [line[0] for line in lines_of(run("presets"))[1:]]
    assert names == [preset.name for preset in published_presets()]
    spec = json.loads(run("presets", "teacher-topk-block-64").stdout)
    assert JobSpec.model_validate(spec).objective.type == "teacher_topk"
    refused = run("presets", "teacher-top", status=1).stderr
    assert refused.startswith("driftgate: INVALID_SPEC: No preset is called 'teacher-top'.")


def test_the_table_has_a_line_a_job_and_every_figure_its_interval(run, service, file):
    ids = []
    for name, right in (("ungated", (2, 4, 4)), ("gated", (4, 4, 2))):
        run("submit", file, "--set", f"name={name}", "--json")
        lease = service.claim()
        evaluate(service, lease, "baseline", 0, 0, 8)
        evaluate(service, lease, "final", *right)
        service.finish(lease)
        ids.append(lease.job_id)
    header, before, ungated, gated, note = run("table", *ids, "--k", "1").stdout.splitlines()
    assert header.split() == ["pass@1", "arithmetic", "mean"]
    # 8 of 24 samples before; 10 of 24 after in both.
    assert before.split()[:3] == ["student", "before", "0.333"]
    assert ungated.split()[:2] == ["ungated", "0.417"]
    assert gated.split()[:2] == ["gated", "0.417"]
    assert gated.count("[") == gated.count("0.417") > 0
    assert note.startswith("Intervals are 95 %")


def test_jobs_that_cannot_be_compared_say_why(run, service, file, submitted):
    service.finish(service.claim())
    evaluated = evaluated_job(run, service, file, "evaluated", 2, 4)
    page = run("compare", evaluated, submitted.id).stdout.splitlines()
    assert page[1] == "comparable: false"
    assert page[2].startswith("  ")


def test_metrics_are_a_table_csv_or_the_api_s_json(run, service, submitted):
    lease = service.claim()
    updates = [an_update(1, loss=0.5), an_update(2, loss=float("nan")), an_update(3, loss=0.25)]
    service.results.append_updates(lease, updates)
    table = lines_of(run("metrics", "latest", "--key", "train/loss", "--x", "update"))
    assert table == [["update", "train/loss"], ["1", "0.5"], ["2", "nan"], ["3", "0.25"]]
    assert lines_of(run("metrics", "latest"))[0] == [
        "update",
        "step",
        "train/gradient_norm",
        "train/loss",
    ]
    rows = csv.DictReader(
        io.StringIO(run("metrics", "latest", "--key", "train/loss", "--csv").stdout)
    )
    assert [(row["update"], row["value"]) for row in rows] == [
        ("1", "0.5"),
        ("2", "nan"),
        ("3", "0.25"),
    ]
    answer = json.loads(run("metrics", "latest", "--key", "train/loss", "--json").stdout)
    assert answer["series"][0]["value"] == [0.5, "NaN", 0.25]


def test_a_simulated_gate_is_a_table_by_reuse_depth_or_the_api_s_json(run, service, submitted):
    # Two updates a step; τ = 1 over blocks of two, s = (.25, 0): weights .1244 from 1.
    drifts = ([0.0] * 4, [0.25, 0.25, 0.0, 0.0])
    updates = [an_update(u, token_drift=a_token_drift([d])) for u, d in enumerate(drifts, start=1)]
    service.results.append_updates(service.claim(), updates)
    wanted = ("simulate-gate", "latest", "--block-size", "2")

    page = lines_of(run(*wanted))
    answer = json.loads(run(*wanted, "--adaptive", "0.5", "--json").stdout)

    assert " ".join(page[0]).startswith("Gate: block of 2, signed_mean, exp, strength 1,")
    assert page[2:6] == [
        ["reuse", "depth", "updates", "tokens", "std", "min", "max", "ESS", "loss", "moved", "effect"],
        ["1", "1", "4", "0.0000", "1.0000", "1.0000", "1.0000", "0.00%", "inert"],
        ["2", "1", "4", "0.1244", "0.8756", "1.1244", "0.9848", "12.44%", "acts"],
        ["all", "2", "8", "0.0879", "0.8756", "1.1244", "0.9923", "6.22%", "acts"],
    ]  # fmt: skip
    assert "Suggested strength: 4, or adaptive 0.5" in run(*wanted).stdout
    assert answer["gate"]["strength"] == {"adaptive": 0.5}
    assert answer["updates"][1]["strength"] == 4.0
    refused = run(*wanted, "--strength", "1", "--adaptive", "1", status=2)
    assert "are both given" in refused.stderr


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("loss", "train/loss, "),
        ("train/los", "train/loss, "),
        ("rolout/second", "rollout/seconds, "),
        ("nope", ""),
    ],
)
def test_a_metric_that_there_is_none_of_is_answered_with_those_that_the_job_has(
    run, service, submitted, key, named
):
    more = dict.fromkeys(
        (
            Metric.ROLLOUT_SECONDS,
            Metric.ROLLOUT_RESPONSE_TOKENS,
            Metric.TOTAL_TOKENS,
            Metric.GATE_STD,
            Metric.GATE_STRENGTH,
        ),
        1.0,
    )
    update = an_update(1, loss=0.5)
    update = dataclasses.replace(update, metrics=update.metrics | more)
    service.results.append_updates(service.claim(), [update])

    refused = run("metrics", "latest", "--key", "train/loss", "--key", key, status=1).stderr

    assert refused.startswith(
        f"driftgate: INVALID_ARGUMENT: There is no metric {key!r}. Job {submitted.id} has recorded {named}"
    )
    names = refused.partition("has recorded ")[2]
    assert (names.count(", "), names.endswith(" and 2 others.\n")) == (4, True)


def test_a_metric_that_there_is_none_of_is_refused_of_a_job_that_has_recorded_none(run, submitted):
    refused = run("metrics", "latest", "--key", "nope", status=1).stderr

    assert refused.endswith(
        f"There is no metric 'nope'. Job {submitted.id} has recorded no metric yet.\n"
    )


def test_metrics_of_a_job_that_has_none_are_a_sentence(run, submitted):
    assert "has recorded no metric yet" in run("metrics", "latest", status=1).stderr


def test_events_are_printed_and_followed_to_the_end(run, service, submitted):
    listed = run("events", "latest").stdout.splitlines()
    assert len(listed) == 1
    assert listed[0].split()[0] == "1"
    assert listed[0].endswith("Submitted.")

    def work():
        time.sleep(0.2)
        service.finish(service.claim())

    with in_background(work):
        followed = run("events", "latest", "--follow", "--json").stdout
    events = [JobEvent.model_validate_json(line) for line in followed.splitlines()]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].state is JobState.SUCCEEDED


def test_a_checkpoint_is_downloaded_as_a_model_folder(run, service, tmp_path):
    saved = saved_job(service.database, service.settings)
    folder = tmp_path / "models" / "mine"
    said = run("download", saved.job.id, "--step", "2", "--to", str(folder)).stdout
    assert said.startswith(f"{folder}: step 2, {len(LOADABLE)} files, ")
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == LOADABLE
    assert all((folder / name).read_bytes() == FILES[name] for name in LOADABLE)
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    again = run("download", saved.job.id, "--to", str(folder), status=1)
    assert "not there yet" in again.stderr


def test_a_download_that_fails_leaves_no_folder(run, service, tmp_path):
    saved = saved_job(service.database, service.settings)
    (saved.folder(4) / "model.safetensors").write_bytes(b"other bytes")
    run("download", saved.job.id, "--to", str(tmp_path / "mine"), status=1)
    assert not list(tmp_path.glob("*mine*"))


def test_the_password_in_a_url_is_not_repeated(unused_port):
    url = f"http://user:S3CR3T@127.0.0.1:{unused_port}/"
    result = CliRunner().invoke(app, ["jobs", "--url", url])
    assert result.exit_code == 1
    assert f"http://***@127.0.0.1:{unused_port}/" in result.stderr
    assert "S3CR3T" not in result.stderr


def test_a_service_that_is_not_there_is_a_sentence_with_what_to_do(unused_port):
    result = CliRunner().invoke(app, ["jobs", "--url", f"http://127.0.0.1:{unused_port}"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"driftgate: Nothing answers at http://127.0.0.1:{unused_port}")
    assert "`driftgate up`" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[::bad"])
def test_a_url_that_is_none_is_a_sentence(url):
    result = CliRunner().invoke(app, ["jobs", "--url", url])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"driftgate: {url} ")


def test_url_and_key_come_from_the_environment_and_the_key_is_no_option(
    settings_factory, sqlite_url, unused_port, monkeypatch
):
    settings = settings_factory(
        database_url=sqlite_url, api_key_sha256=(hashlib.sha256(b"a key").hexdigest(),)
    )
    with running_service(settings, unused_port) as service:
        monkeypatch.setenv("DRIFTGATE_URL", service.url)
        load_settings.cache_clear()
        refused = CliRunner().invoke(app, ["jobs"])
        monkeypatch.setenv("DRIFTGATE_API_KEY", "a key")
        load_settings.cache_clear()
        accepted = CliRunner().invoke(app, ["jobs"])
    load_settings.cache_clear()
    assert refused.stderr.startswith("driftgate: UNAUTHENTICATED: ")
    assert (accepted.exit_code, lines_of(accepted)[0][0]) == (0, "job")
    assert "a key" not in repr(settings_factory(api_key="a key"))
