import threading
from collections.abc import Callable, Iterator

import pytest

from tests.worker.byte_model import byte_tokenizer
from tests.worker.remote_teacher.vllm_dialect import VllmDialect, tiny_teacher
from worker.remote_teacher import exchange
from worker.remote_teacher.exchange import Server


@pytest.fixture(scope="session")
def teacher_model():
    return tiny_teacher()


@pytest.fixture
def vllm(teacher_model) -> Iterator[VllmDialect]:
    with VllmDialect(teacher_model, byte_tokenizer()) as server:
        yield server


@pytest.fixture
def events() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def connect(vllm, events, monkeypatch) -> Callable[..., Server]:
    """The server as a job sees it; pauses are a hundredth of what they are."""
    monkeypatch.setattr(exchange, "FIRST_PAUSE_S", 0.005)

    def make(**changes: object) -> Server:
        fields = {
            "url": vllm.url,
            "model": vllm.name,
            "api_key": None,
            "max_concurrent_requests": 4,
            "timeout_s": 10.0,
            "patience_s": 60.0,
            "stop": threading.Event(),
            "report": lambda type_, message: events.append((type_, message)),
        }
        return Server(**(fields | changes))

    return make
