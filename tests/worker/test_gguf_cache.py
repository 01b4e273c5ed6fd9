"""A GGUF file is converted once, wholly or not at all, and then serves as any other model."""

import multiprocessing
import os
import shutil
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.settings import Settings
from tests.gguf_files import write_gguf
from tests.model_families import qwen3
from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker import gguf_cache
from worker.attempt_end import StopRequestedError
from worker.attempt_engines import transformers_engine
from worker.gguf_cache import converted_folder
from worker.training.models import load_causal_lm

INLINE = {
    "source": "inline",
    "problems": [{"id": str(n), "problem": f"{n}+a=", "answer": "1"} for n in range(4)],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "models" / "teacher").mkdir(parents=True)
    model = qwen3(tie_word_embeddings=True).float()
    return write_gguf(model, tmp_path / "models" / "teacher" / "tiny.gguf")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Conversion:
    """Calls of the cache, and what it reported."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.stop = threading.Event()

    def __call__(self, file: Path, cache: Path) -> Path:
        return converted_folder(
            file,
            cache=cache,
            reference="teacher",
            field="teacher",
            stop=self.stop,
            report=self.told.append,
        )


@pytest.fixture
def convert() -> Conversion:
    return Conversion()


def test_a_file_is_converted_once_and_found_by_its_content_wherever_it_lies(
    file: Path, cache: Path, convert: Conversion, tmp_path: Path
) -> None:
    first = convert(file, cache)
    copy = tmp_path / "elsewhere.gguf"
    shutil.copy(file, copy)

    assert convert(copy, cache) == first
    (told,) = convert.told
    assert told.startswith("Converting tiny.gguf of teacher to safetensors once: ")
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [first.name]
    # Another content has another key, though the name is the same.
    write_gguf(qwen3(tie_word_embeddings=True, seed=4).float(), file)
    assert convert(file, cache) != first


def test_a_disk_without_room_is_refused_with_both_numbers_before_anything_is_written(
    file: Path, cache: Path, convert: Conversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))

    with pytest.raises(DriftgateError) as refusal:
        convert(file, cache)

    assert refusal.value.code is ErrorCode.DISK_FULL
    assert "1,000 are free" in refusal.value.message
    assert convert.told == []
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_a_conversion_that_fails_leaves_nothing_and_the_next_one_succeeds(
    file: Path, cache: Path, convert: Conversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_a_part_and_fail(_file: Path, _header: object, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(gguf_cache, "convert_gguf", write_a_part_and_fail)
        with pytest.raises(OSError, match="No space left"):
            convert(file, cache)
    assert not [path for path in cache.iterdir() if path.is_dir()]

    assert (convert(file, cache) / "model.safetensors").is_file()


def test_what_a_killed_process_left_is_replaced_and_its_lock_is_free(
    file: Path, cache: Path, convert: Conversion
) -> None:
    started = multiprocessing.get_context("fork").Event()

    def convert_for_ever(_file: Path, _header: object, folder: Path) -> None:
        (folder / "rest").write_text("of before")
        started.set()
        signal.pause()

    child = os.fork()
    if child == 0:
        gguf_cache.convert_gguf = convert_for_ever
        convert(file, cache)
        os._exit(0)
    assert started.wait(30)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert [path.suffix for path in cache.iterdir() if path.is_dir()] == [".partial"]

    folder = convert(file, cache)

    assert not (folder / "rest").exists()
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]


def test_two_attempts_convert_once_and_one_that_drains_does_not_wait(
    file: Path, cache: Path, convert: Conversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_cache, "LOCK_POLL_S", 0.01)
    is_converting, may_go_on = threading.Event(), threading.Event()
    really = gguf_cache.convert_gguf

    def convert_slowly(*arguments: object) -> None:
        is_converting.set()
        assert may_go_on.wait(30)
        really(*arguments)

    monkeypatch.setattr(gguf_cache, "convert_gguf", convert_slowly)
    folders: list[Path] = []
    others = [Conversion(), Conversion()]
    threads = [
        threading.Thread(target=lambda one=one: folders.append(one(file, cache))) for one in others
    ]
    threads[0].start()
    assert is_converting.wait(30)
    convert.stop.set()
    with pytest.raises(StopRequestedError):
        convert(file, cache)
    threads[1].start()
    may_go_on.set()
    for thread in threads:
        thread.join()

    assert len(folders) == 2
    assert len(set(folders)) == 1
    assert len(others[0].told) == 1
    assert others[1].told == []


def test_a_job_distils_from_a_gguf_teacher_and_says_that_it_was_converted(
    file: Path, tmp_path: Path, sqlite_url: str
) -> None:
    settings = Settings(
        data_dir=tmp_path / "var", database_url=sqlite_url, model_root=tmp_path / "models"
    )
    student = write_gguf(
        qwen3(tie_word_embeddings=True, seed=8).float(), tmp_path / "models" / "student.gguf"
    )
    bench = Bench(settings.database_url, settings.resolved_artifact_root())
    plain = {"instruction": ""}
    spec = small_job(
        student={"model": student.name},
        teacher={"model": "teacher"},
        prompts={"problems": INLINE, "format": plain},
        steps=2,
        evaluation={},
    )

    job = bench.run_here(spec, settings=settings, make_engine=transformers_engine)

    assert job.state is JobState.SUCCEEDED
    events = bench.jobs.events(job.id).events
    told = [one.message for one in events if one.type == "weights_converted"]
    assert [message.split(" to ")[0] for message in told] == [
        "Converting student.gguf of student",
        "Converting tiny.gguf of teacher",
    ]
    newest = bench.results.latest_checkpoints(job.id)[0]
    trained = load_causal_lm(Path(newest.uri), device=torch.device("cpu"), dtype=torch.float32)
    assert trained.num_parameters() == qwen3(tie_word_embeddings=True).num_parameters()
