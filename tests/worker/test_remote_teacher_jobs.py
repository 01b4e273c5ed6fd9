"""Whole jobs whose teacher is on a server, in this process, against the same job with the teacher's weights here."""

import math
import shutil
import threading

import pytest
import torch
from safetensors.torch import load_file

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.preflight.folder_signature import BUILTIN_FOLDER
from service.settings import Settings
from tests.worker.bench import Bench
from tests.worker.remote_teacher.vllm_dialect import BEARER, KEY, RefusalError, VllmDialect
from tests.worker.small_jobs import small_job
from worker import attempt_models
from worker.attempt_end import StopRequestedError
from worker.attempt_engines import transformers_engine
from worker.execute import run
from worker.remote_teacher import exchange
from worker.training.models import load_causal_lm, load_tokenizer

TEACHER = BUILTIN_FOLDER / "arithmetic-teacher"
STUDENT = load_file(BUILTIN_FOLDER / "arithmetic-student" / "model.safetensors")
SAMPLED_TOKEN = {"type": "sampled_token"}
LONGER_THAN_A_PROBE = 16
SHORT = {
    "prompts_per_step": 2,
    "samples_per_prompt": 2,
    "max_prompt_tokens": 64,
    "max_response_tokens": 12,
}


@pytest.fixture(scope="module")
def teacher_model():
    return load_causal_lm(TEACHER, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def vllm(teacher_model, monkeypatch):
    monkeypatch.setattr(exchange, "FIRST_PAUSE_S", 0.01)
    with VllmDialect(teacher_model, load_tokenizer(TEACHER)) as server:
        server.wanted = BEARER
        yield server


def settings_in(folder, template, vllm):
    shutil.copy(template, folder / "driftgate.db")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "TEACHER_KEY").write_text(f"{KEY}\n")
    return Settings(
        data_dir=folder / "var",
        database_url=f"sqlite:///{folder / 'driftgate.db'}",
        secrets_dir=folder / "secrets",
        teacher_endpoints=(vllm.origin,),
        teacher_patience_s=20.0,
    )


@pytest.fixture
def settings(tmp_path, sqlite_template, vllm):
    return settings_in(tmp_path, sqlite_template, vllm)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, sqlite_template, teacher_model):
    """The weights after a job whose server answers everything at once."""
    with VllmDialect(teacher_model, load_tokenizer(TEACHER)) as vllm:
        settings = settings_in(tmp_path_factory.mktemp("undisturbed"), sqlite_template, vllm)
        bench = Bench(settings.database_url, settings.resolved_artifact_root())
        return weights_of(bench, run_here(bench, remote_job(vllm), settings))


@pytest.fixture
def bench(settings):
    return Bench(settings.database_url, settings.resolved_artifact_root())


def job_of(**changes):
    return small_job(
        **(
            {"steps": 3, "rollout": SHORT, "evaluation": {}, "checkpoint": {"every_steps": 50}}
            | changes
        )
    )


def remote_job(vllm, *, teacher=(), **changes):
    fields = {
        "model": "builtin/arithmetic-teacher",
        "endpoint": vllm.url,
        "served_model": "teacher",
        "api_key": {"secret": "TEACHER_KEY"},
    }
    return job_of(teacher=fields | dict(teacher), **changes)


def run_here(bench, spec, settings):
    return bench.run_here(spec, settings=settings, make_engine=transformers_engine)


def weights_of(bench, job):
    newest = bench.results.latest_checkpoints(job.id)[0]
    assert newest.final
    return load_file(f"{newest.uri}/model.safetensors")


def distance(weights, others):
    """The Euclidean one, over all of the tensors that `others` has."""
    return math.hypot(*(float((weights[name] - others[name]).norm()) for name in others))


def events_of(bench, job_id, type_):
    return [one.message for one in bench.jobs.events(job_id).events if one.type == type_]


@pytest.mark.parametrize(
    ("teacher", "changes"),
    [
        ({}, {}),
        # Nothing of the teacher is on this worker.
        ({"model": "elsewhere/teacher", "vocabulary": "server"}, {"objective": SAMPLED_TOKEN}),
    ],
    ids=["top-K", "sampled token"],
)
def test_a_student_learns_the_same_as_from_the_weights(
    bench, settings, vllm, monkeypatch, teacher, changes
):
    expected = weights_of(bench, run_here(bench, job_of(**changes), settings))
    loaded = []
    load = attempt_models.load_causal_lm
    monkeypatch.setattr(
        attempt_models,
        "load_causal_lm",
        lambda path, **options: loaded.append(path.name) or load(path, **options),
    )

    job = run_here(bench, remote_job(vllm, teacher=teacher, **changes), settings)

    assert job.state is JobState.SUCCEEDED
    assert loaded == ["arithmetic-student"]
    weights = weights_of(bench, job)
    assert weights.keys() == expected.keys()
    # Each alone would not do: where a gradient is next to nothing, Adam turns its rounding into a step.
    assert distance(weights, expected) < 1e-3 * distance(STUDENT, expected)
    (told,) = events_of(bench, job.id, "teacher_checked")
    assert "serves 'teacher'" in told
    assert "The texts of all" in told
    assert KEY not in "".join(one.message for one in bench.jobs.events(job.id).events)


def test_the_distance_to_it_is_that_of_the_sampled_tokens(bench, settings, vllm):
    chains = {"name": "chains", "problems": {"source": "arithmetic", "num_problems": 16}}
    evaluation = {"benchmarks": [chains], "samples_per_problem": 1, "k": [1]}
    changes = {"steps": 1, "evaluation": evaluation | {"max_response_tokens": 4}}

    exact, sampled = (
        bench.distances(run_here(bench, spec, settings).id)[0]
        for spec in (job_of(**changes), remote_job(vllm, **changes))
    )

    assert (exact.estimator, sampled.estimator) == ("full_vocabulary", "sampled_token")
    # The same responses of the same student.
    assert (exact.stage, exact.num_tokens) == (sampled.stage, sampled.num_tokens)
    assert exact.mean_nats != sampled.mean_nats
    doubt = exact.standard_error_nats + sampled.standard_error_nats
    assert abs(exact.mean_nats - sampled.mean_nats) < 3 * doubt
    assert sampled.mean_nats > 0


def test_log_probs_one_place_beside_their_tokens_end_the_job_with_the_place_and_the_tokens(
    bench, settings, vllm
):
    vllm.change = lambda entries, prompt: (
        [None, *entries[2:], entries[-1]] if len(prompt) > LONGER_THAN_A_PROBE else entries
    )

    with pytest.raises(DriftgateError) as failure:
        run_here(bench, remote_job(vllm), settings)

    assert failure.value.code is ErrorCode.TEACHER_INVALID
    assert "the prompt has token" in failure.value.message
    assert "do not stand where their tokens do" in failure.value.message


def test_an_address_that_this_worker_does_not_list_is_not_asked(bench, settings, vllm):
    other = settings.model_copy(update={"teacher_endpoints": ("https://elsewhere.example",)})

    with pytest.raises(DriftgateError) as failure:
        run_here(bench, remote_job(vllm), other)

    assert failure.value.code is ErrorCode.INVALID_SPEC
    assert vllm.keys_seen == []


def test_a_key_that_this_worker_does_not_have_is_named(bench, settings, vllm):
    (settings.secrets_dir / "TEACHER_KEY").unlink()

    with pytest.raises(DriftgateError) as failure:
        run_here(bench, remote_job(vllm), settings)

    assert failure.value.code is ErrorCode.SECRET_NOT_FOUND
    assert failure.value.violations[0].field == "teacher.api_key"
    assert vllm.keys_seen == []


def busy(_handler):
    raise RefusalError(429, "too many requests")


def test_a_server_that_is_busy_for_a_while_costs_time_only(bench, settings, vllm, undisturbed):
    vllm.faults.extend([busy] * 3)

    job = run_here(bench, remote_job(vllm), settings)

    weights = weights_of(bench, job)
    assert all(torch.equal(undisturbed[name], weights[name]) for name in weights)
    (away,) = events_of(bench, job.id, "teacher_unavailable")
    assert "it answered 429: too many requests" in away
    assert len(events_of(bench, job.id, "teacher_available")) == 1


class AwayFromTheThirdStep:
    """Each step is one request. `on_first` is called with the first that is not answered."""

    def __init__(self, vllm, on_first):
        self.vllm, self.on_first = vllm, on_first
        self.num_answered = 0
        self.is_away = True
        self.complete = vllm.complete

    def __call__(self, body):
        if len(body["prompt"][0]) > LONGER_THAN_A_PROBE and self.is_away:
            self.num_answered += 1
            if self.num_answered > 2:
                self.on_first()
                raise RefusalError(503, "starting")
        return self.complete(body)


@pytest.mark.parametrize("is_stopped", [False, True], ids=["patience at its end", "worker stops"])
def test_the_steps_before_an_outage_are_kept_and_the_next_attempt_goes_on_from_them(
    bench, settings, vllm, undisturbed, is_stopped
):
    stop = threading.Event()
    vllm.complete = away = AwayFromTheThirdStep(vllm, stop.set if is_stopped else lambda: None)
    patience = settings.model_copy(update={"teacher_patience_s": 20.0 if is_stopped else 0.05})
    job_id = bench.submit(remote_job(vllm))
    lease = bench.jobs.claim(queue="default", owner="test", lease_s=30).lease
    bench.jobs.start_running(lease)

    with pytest.raises(StopRequestedError if is_stopped else DriftgateError) as end:
        run(
            lease,
            attempt_dir=settings.resolved_artifact_root() / "jobs" / job_id / "1",
            settings=patience,
            stop=stop,
            make_engine=transformers_engine,
        )

    assert is_stopped or end.value.code is ErrorCode.TEACHER_UNAVAILABLE
    assert bench.saved_steps(job_id) == [2]
    away.is_away = False
    bench.jobs.release(lease, message="away", counted=False, max_attempts=3)

    job = bench.attempt_here(job_id, settings=settings, make_engine=transformers_engine)

    weights = weights_of(bench, job)
    assert all(torch.equal(undisturbed[name], weights[name]) for name in weights)
    assert bench.results.metrics(job_id).update == tuple(range(1, 7))
