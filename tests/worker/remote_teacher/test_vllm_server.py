"""A real vLLM server on the CPU as teacher, against the same model in this process."""

import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
import torch
from safetensors.torch import load_file

from service.errors import DriftgateError
from service.jobs.loss_spec import SampledTokenObjective, TeacherTopKObjective
from service.settings import Settings
from tests.worker.bench import Bench
from tests.worker.byte_model import byte_tokenizer
from tests.worker.remote_teacher.test_teacher import batches_of
from tests.worker.remote_teacher.vllm_dialect import KEY, tiny_teacher
from tests.worker.small_jobs import small_job
from worker.attempt_engines import transformers_engine
from worker.remote_teacher.exchange import Server
from worker.remote_teacher.probe import Needs, check_server
from worker.remote_teacher.teacher import RemoteTeacher
from worker.remote_teacher.vocabulary import check_token_texts
from worker.training.teacher import LocalTeacher

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="vllm is not installed here; `make test-vllm` runs this in an environment that has it",
    ),
    pytest.mark.timeout(600),
]

MAX_LOG_PROBS = 32
MAX_MODEL_LEN = 256
START_TIMEOUT_S = 240
# What works on a CPU: one process, nothing compiled, threads left where they are.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "teacher"
    tiny_teacher().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model_folder), "--served-model-name", "teacher"),
        *("--host", "127.0.0.1", "--port", str(port), "--api-key", KEY),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", str(MAX_MODEL_LEN)),
        *("--max-logprobs", str(MAX_LOG_PROBS), "--max-num-seqs", "16"),
    ]
    log_path = folder / "log.txt"
    with log_path.open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_the_tests,  # noqa: PLW1509 a killed test run would leave it behind
        )
    try:
        _wait_until_it_answers(server, port, log_path)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _end_with_the_tests():
    # A server that is asked to end takes its engine's process with it, which a killed one would not.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _wait_until_it_answers(server, port, log_path):
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert server.poll() is None, log_path.read_text()[-4000:]
        assert time.monotonic() < deadline, log_path.read_text()[-4000:]
        time.sleep(0.5)


@pytest.fixture
def connect(url):
    def make(**changes):
        fields = {
            "url": url,
            "model": "teacher",
            "api_key": KEY,
            "max_concurrent_requests": 4,
            "timeout_s": 60.0,
            "patience_s": 60.0,
            "stop": threading.Event(),
            "report": lambda _type, _message: None,
        }
        return Server(**(fields | changes))

    return make


def needs(**changes):
    given = {"support_size": MAX_LOG_PROBS, "longest": MAX_MODEL_LEN - 1, "vocab_size": 257}
    return Needs(**(given | changes))


def refusal_of(server, **changes):
    with pytest.raises(DriftgateError) as refusal:
        check_server(server, needs(**changes))
    return refusal.value.message


def decode(token_ids):
    return byte_tokenizer().decode(list(token_ids))


def test_it_passes_the_checks_of_a_job(connect):
    told = check_server(connect(), needs())
    assert "256 tokens at most" in told
    assert "the 32 most likely tokens, 257 token ids" in told

    texts = check_token_texts(connect(), num_tokens=257, decode=decode, is_required=True)
    assert texts == "The texts of all 257 tokens are the student's."


@pytest.mark.parametrize("is_packed", [False, True], ids=["padded", "packed"])
def test_its_top_k_scores_are_those_of_the_model_here(connect, is_packed):
    batches = batches_of(is_packed=is_packed)
    objective = TeacherTopKObjective(type="teacher_topk", k=MAX_LOG_PROBS)
    expected = LocalTeacher(tiny_teacher(), objective=objective).score(batches_of())

    scores = RemoteTeacher(connect(), support_size=MAX_LOG_PROBS).score(batches)

    ours, theirs = (
        torch.cat([each.log_probs_N for each in scored]) for scored in (expected, scores)
    )
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=0)
    ours, theirs = (
        torch.cat([each.support_NK for each in scored]) for scored in (expected, scores)
    )
    assert torch.equal(ours, theirs)
    ours, theirs = (
        torch.cat([each.support_log_probs_NK for each in scored]) for scored in (expected, scores)
    )
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=0)


def test_its_scores_of_sampled_tokens_are_those_of_the_model_here_and_stay_so(connect):
    batches = batches_of(seed=8)
    expected = LocalTeacher(tiny_teacher(), objective=SampledTokenObjective()).score(batches)
    teacher = RemoteTeacher(connect(), support_size=None)

    # The second time its prefix cache has seen every prompt.
    for scores in (teacher.score(batches), teacher.score(batches)):
        for theirs, ours in zip(scores, expected, strict=True):
            torch.testing.assert_close(theirs.log_probs_N, ours.log_probs_N, atol=1e-4, rtol=0)


def test_what_it_does_not_give_is_refused_with_the_figures(connect):
    message = refusal_of(connect(), support_size=40)
    assert "objective.k is 40, and it gives log-probs of 32 tokens at most" in message
    assert "--max-logprobs 40" in message

    message = refusal_of(connect(), longest=MAX_MODEL_LEN)
    assert "at most 256 tokens (max_model_len)" in message

    message = refusal_of(connect(), vocab_size=300)
    assert "has 257 token ids, and the student has 300" in message
    message = refusal_of(connect(), vocab_size=200)
    assert "has 257 token ids, and the student has 200" in message


def test_another_name_and_another_key_are_refused(connect):
    assert "it serves 'teacher'" in refusal_of(connect(model="other"))
    message = refusal_of(connect(api_key="sk-other"))
    assert "401" in message
    assert "teacher.api_key" in message


def save_student(root):
    tiny_teacher(seed=1).save_pretrained(root / "student")
    byte_tokenizer().save_pretrained(root / "student")


def test_a_job_learns_from_it_what_it_learns_from_the_weights(
    url, model_folder, tmp_path, sqlite_url, monkeypatch
):
    monkeypatch.setenv("DRIFTGATE_SECRET_TEACHER_KEY", KEY)
    save_student(model_folder.parent)
    settings = Settings(
        data_dir=tmp_path / "var",
        database_url=sqlite_url,
        model_root=model_folder.parent,
        teacher_endpoints=(url.removesuffix("/v1"),),
    )
    bench = Bench(sqlite_url, settings.resolved_artifact_root())
    remote = {"endpoint": url, "served_model": "teacher", "api_key": {"secret": "TEACHER_KEY"}}

    def weights_after(teacher):
        spec = small_job(
            student={"model": "student"},
            teacher={"model": model_folder.name} | teacher,
            objective={"type": "teacher_topk", "k": MAX_LOG_PROBS},
            steps=3,
            evaluation={},
            compute={"device": "cpu", "engine": "transformers"},
        )
        job = bench.run_here(spec, settings=settings, make_engine=transformers_engine)
        newest = bench.results.latest_checkpoints(job.id)[0]
        return load_file(f"{newest.uri}/model.safetensors")

    expected, weights = weights_after({}), weights_after(remote)

    before = load_file(model_folder.parent / "student" / "model.safetensors")
    assert max((expected[name] - before[name]).abs().max() for name in before) > 1e-3
    for name in expected:
        torch.testing.assert_close(weights[name], expected[name], atol=1e-4, rtol=0)
