"""Jobs that evaluate and train nothing, regrades, and evaluations during training: real children."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec
from service.jobs.problem_sources import PUBLISHED_BENCHMARKS
from service.jobs.results import JobResults
from service.jobs.spec import RegradeJobSpec
from service.jobs.state import JobState
from service.rest.app import create_app
from service.settings import Settings
from tests.processes import pids_of
from tests.worker.bench import Bench
from tests.worker.byte_model import save_byte_model
from tests.worker.replaying_child import ANSWERS, WRONG, num_right, replaying
from tests.worker.small_jobs import small_job

BENCHMARKS_DIR = os.environ.get("DRIFTGATE_BENCHMARKS_DIR")
SAMPLES = 8


@pytest.fixture
def data_dir(tmp_path, sqlite_url, monkeypatch) -> Path:
    monkeypatch.setenv("DRIFTGATE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("DRIFTGATE_DATA_DIR", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def bench(sqlite_url, data_dir, nursery) -> Bench:
    return Bench(sqlite_url, data_dir / "artifacts", nursery=nursery)


def evaluation_of(model, benchmarks, **fields):
    evaluation = {"benchmarks": benchmarks, "samples_per_problem": SAMPLES, "k": [1, SAMPLES]}
    return parse_spec(
        {
            "kind": "evaluation",
            "model": {"model": model},
            "evaluation": evaluation | fields.pop("evaluation", {}),
            "compute": {"device": "cpu"},
        }
        | fields
    )


NUM_CHAINS = 32


def chains():
    """An evaluation of the built-in student in batches of 32 samples."""
    return evaluation_of(
        "builtin/arithmetic-student",
        [{"name": "chains", "problems": {"source": "arithmetic", "num_problems": NUM_CHAINS}}],
        evaluation={"profile": "policy", "max_response_tokens": 64},
        max_prompt_tokens=64,
        compute={"device": "cpu", "rollout_batch_size": 32},
    )


def samples_of(bench, job_id):
    store = bench.results
    return [
        (stage, each.position, each.sample_index, each.seed, each.text, each.verdict)
        for stage in store.stages_sampled(job_id)
        for each in store.samples_with_text(job_id, stage=stage)
    ]


def test_an_evaluation_killed_and_drained_ends_with_the_samples_of_an_unbroken_one(
    bench, wait_until
):
    unbroken = bench.run(chains())
    assert unbroken.state is JobState.SUCCEEDED, unbroken.failure
    job_id = bench.submit(chains())

    killed = bench.start_attempt()
    wait_until(lambda: bench.jobs.get(job_id).progress.evaluated_samples >= 64, timeout_s=120)
    os.kill(pids_of("worker.execute", job_id)[0], signal.SIGKILL)
    killed.join()
    num_kept = len(samples_of(bench, job_id))
    drained = bench.start_attempt()
    wait_until(lambda: bench.jobs.get(job_id).progress.evaluated_samples > num_kept, timeout_s=120)
    bench.drain.set()
    drained.join()
    bench.drain.clear()
    assert bench.jobs.get(job_id).state is JobState.QUEUED
    job = bench.run_attempt(job_id)

    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 3), job.failure
    assert samples_of(bench, job_id) == samples_of(bench, unbroken.id)
    assert len(samples_of(bench, job_id)) == NUM_CHAINS * SAMPLES
    page = bench.results.samples(job_id, page_token=None, limit=1000)
    assert [sample.attempt for sample in page.samples].count(1) == num_kept, "none was drawn again"
    assert bench.outcomes(job_id) == bench.outcomes(unbroken.id)
    (result,) = bench.results.results(job_id).evaluations
    assert (result.stage, result.profile, result.num_problems) == ("model", "policy", NUM_CHAINS)
    assert (job.progress.evaluated_samples, job.progress.total_steps) == (0, 0)


def test_evaluations_during_training_survive_a_kill_and_a_drain_and_pair_with_the_others(
    bench, wait_until
):
    evaluation = small_job().evaluation.model_dump(mode="json")
    during = {"every_steps": 2, "max_problems": 3}
    spec = small_job(evaluation=evaluation | {"during_training": during}, steps=10)
    unbroken = bench.run(spec)
    job_id = bench.submit(spec)
    killed = bench.start_attempt()
    wait_until(lambda: "step-0000004" in bench.results.stages_sampled(job_id), timeout_s=120)
    os.kill(pids_of("worker.execute", job_id)[0], signal.SIGKILL)
    killed.join()
    drained = bench.start_attempt()
    wait_until(lambda: "step-0000006" in bench.results.stages_sampled(job_id), timeout_s=120)
    bench.drain.set()
    drained.join()
    bench.drain.clear()

    job = bench.run_attempt(job_id)

    assert job.state is JobState.SUCCEEDED, job.failure
    results = bench.results.results(job_id, include_problems=True)
    during_training = [f"step-000000{step}" for step in (2, 4, 6, 8)]
    assert [each.stage for each in results.evaluations] == ["baseline", *during_training, "final"]
    assert bench.outcomes(job_id) == bench.outcomes(unbroken.id)
    assert samples_of(bench, job_id) == samples_of(bench, unbroken.id)

    first, *others = (each for each in results.evaluations if each.stage in during_training)
    assert first.num_problems == 3
    ids = [problem.problem_id for problem in first.problems]
    assert all([p.problem_id for p in each.problems] == ids for each in others)
    page = bench.results.samples(job_id, page_token=None, limit=1000)
    seeds = {(s.stage, s.problem_id, s.sample_index): s.seed for s in page.samples}
    for (stage, problem_id, sample_index), seed in seeds.items():
        assert seed == seeds["baseline", problem_id, sample_index], stage


def a_benchmark_file(data_dir, answers):
    path = data_dir / "datasets" / "sums.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": f"p{i}", "problem": problem, "answer": answer}
        for i, (problem, answer) in enumerate(answers.items())
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [{"name": "sums", "problems": {"source": "file", "path": "sums.jsonl"}}]


@pytest.fixture
def run_here(bench, data_dir):
    """Runs a job in this process with replayed answers."""
    save_byte_model(data_dir / "models" / "bytes")

    def run(spec, answers):
        return bench.run_here(spec, settings=Settings(), make_engine=replaying(answers))

    return run


SUMS = {f"What is {i} plus {i}, of all numbers?": str(2 * i) for i in range(1, 6)}


def test_a_regrade_samples_nothing_and_shows_what_an_answer_that_was_corrected_changes(
    bench, run_here, data_dir
):
    graded = run_here(evaluation_of("bytes", a_benchmark_file(data_dir, SUMS)), SUMS)
    before = bench.results.results(graded.id)
    corrected = "What is 3 plus 3, of all numbers?"
    right = num_right(corrected, SAMPLES)
    a_benchmark_file(data_dir, SUMS | {corrected: WRONG})

    regrade = run_here(RegradeJobSpec(kind="regrade", job_id=graded.id), answers={})

    changes = bench.results.verdict_changes(regrade.id, limit=100)
    assert changes.num_samples == 5 * SAMPLES
    assert changes.num_changed == SAMPLES, "what was right is wrong, and what was wrong is right"
    assert {change.problem_id for change in changes.changes} == {"p2"}
    assert bench.results.results(graded.id) == before, "the graded job keeps its results"
    (result,) = bench.results.results(regrade.id, include_problems=True).evaluations
    assert {p.problem_id: p.c for p in result.problems}["p2"] == SAMPLES - right
    assert result.stage == "model"
    printed = subprocess.run(
        [sys.executable, "-m", "service.cli", "regrade", graded.id],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.splitlines()
    *rows, summary = map(json.loads, printed)
    assert [row["problem_id"] for row in rows] == ["p2"] * SAMPLES
    assert summary["summary"]["samples"] == 5 * SAMPLES


def test_a_regrade_without_the_problem_it_grades_is_refused_naming_it(run_here, data_dir):
    graded = run_here(evaluation_of("bytes", a_benchmark_file(data_dir, SUMS)), SUMS)
    others = {text.replace("plus", "minus"): answer for text, answer in SUMS.items()}
    a_benchmark_file(data_dir, others)

    with pytest.raises(DriftgateError, match="'p0' of benchmark sums has another text now") as no:
        run_here(RegradeJobSpec(kind="regrade", job_id=graded.id), answers={})
    assert no.value.code is ErrorCode.DATASET_INVALID


def test_an_answer_that_grades_nothing_is_refused_before_anything_is_sampled(run_here, data_dir):
    benchmark = a_benchmark_file(data_dir, SUMS | {"What is nothing?": r"\text{ }"})
    with pytest.raises(DriftgateError, match=r"of problem 'p5' of .* is empty") as no:
        run_here(evaluation_of("bytes", benchmark), SUMS)
    assert no.value.code is ErrorCode.DATASET_INVALID


@pytest.mark.skipif(
    not BENCHMARKS_DIR, reason="DRIFTGATE_BENCHMARKS_DIR names no folder of the four benchmarks"
)
def test_from_post_to_the_mean_over_four_benchmarks_every_number_is_the_closed_form(
    bench, data_dir, monkeypatch
):
    """Problem p is answered right c(p) of 8 times: pass@1 is the mean of c/8, pass@8 that of c > 0."""
    monkeypatch.setenv("DRIFTGATE_BENCHMARKS_DIR", BENCHMARKS_DIR)
    names = sorted(PUBLISHED_BENCHMARKS)
    rows = {
        name: [
            json.loads(line)
            for line in (Path(BENCHMARKS_DIR) / f"{name}.jsonl").read_text().splitlines()
        ]
        for name in names
    }
    answers = data_dir / "answers.json"
    save_byte_model(data_dir / "models" / "bytes")
    answers.write_text(
        json.dumps({row["problem"]: row["answer"] for name in names for row in rows[name]})
    )
    monkeypatch.setenv(ANSWERS, str(answers))
    spec = evaluation_of("bytes", [{"name": name} for name in names], max_prompt_tokens=9000)

    with TestClient(create_app(Settings()), base_url="http://127.0.0.1:8400") as api:
        created = api.post("/v1/jobs", json=spec.model_dump(mode="json"))
        assert created.status_code == 201, created.text
        job = bench.run_attempt(created.json()["id"])
        assert job.state is JobState.SUCCEEDED, job.failure
        answer = api.get(f"/v1/jobs/{job.id}/results")

    results = JobResults.model_validate_json(answer.content)
    expected = {name: [num_right(row["problem"], SAMPLES) for row in rows[name]] for name in names}
    by_name = {each.benchmark: each for each in results.evaluations}
    assert {name: by_name[name].num_problems for name in names} == {
        "aime24": 30,
        "aime25": 30,
        "amc23": 40,
        "math500": 500,
    }
    pass_at_1 = {
        n: sum(c / SAMPLES for c in counts) / len(counts) for n, counts in expected.items()
    }
    pass_at_8 = {n: sum(c > 0 for c in counts) / len(counts) for n, counts in expected.items()}
    for name in names:
        assert by_name[name].pass_at["1"].estimate == pytest.approx(pass_at_1[name], abs=1e-12)
        assert by_name[name].pass_at["8"].estimate == pytest.approx(pass_at_8[name], abs=1e-12)
    (mean,) = results.means
    assert mean.pass_at["1"].estimate == pytest.approx(sum(pass_at_1.values()) / 4, abs=1e-12)
    assert mean.pass_at["8"].estimate == pytest.approx(sum(pass_at_8.values()) / 4, abs=1e-12)
    assert mean.benchmarks == tuple(names)
