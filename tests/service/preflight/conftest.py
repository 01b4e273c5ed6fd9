"""Model folders and a spec, small enough to write in a test, and a hub: no weights are ever read."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from service.jobs.spec import JobSpec
from service.settings import Settings
from tests.service.preflight.fake_hub import FakeHub

SYMBOLS = ["<pad>", "<eos>", "\n", *"0123456789+*=#? abcdefghijklmnopqrst"]
EMPTY_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"

MakeModel = Callable[..., Path]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("models", "datasets", "hub-cache"):
        (tmp_path / name).mkdir()
    return Settings(
        data_dir=tmp_path,
        model_root=tmp_path / "models",
        dataset_root=tmp_path / "datasets",
        hub_cache_dir=tmp_path / "hub-cache",
        hub_endpoint="http://127.0.0.1:9",
        hub_allow=("Tiny/*",),
    )


@pytest.fixture
def fake_hub(tmp_path: Path) -> Iterator[FakeHub]:
    server = FakeHub(tmp_path / "hub")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def make_model(settings: Settings) -> MakeModel:
    def make(
        name: str,
        *,
        symbols: list[str] = SYMBOLS,
        config: Mapping[str, object] | None = None,
        root: Path | None = None,
    ) -> Path:
        folder = (root or settings.resolved_model_root()) / name
        folder.mkdir(parents=True)
        vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
        Tokenizer(WordLevel(vocabulary, unk_token="<pad>")).save(str(folder / "tokenizer.json"))
        whole_config = {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "vocab_size": len(symbols),
            "max_position_embeddings": 256,
            "eos_token_id": 1,
        }
        (folder / "config.json").write_text(json.dumps(whole_config | dict(config or {})))
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<eos>"}))
        (folder / "model.safetensors").write_bytes(EMPTY_SAFETENSORS)
        return folder

    return make


@pytest.fixture
def spec_of() -> Callable[..., JobSpec]:
    """A spec that passes without a warning where `student` and `teacher` are such model folders."""

    def make(**changes: object) -> JobSpec:
        arithmetic = {"source": "arithmetic", "num_problems": 20}
        fields: dict[str, object] = {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": arithmetic},
            "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128, "top_p": 1.0},
            "evaluation": {
                "benchmarks": [{"name": "chains", "problems": arithmetic}],
                "max_response_tokens": 128,
            },
        }
        return JobSpec.model_validate(fields | changes)

    return make
