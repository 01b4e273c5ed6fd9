import json
import shutil
from types import SimpleNamespace

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec_fields import ModelSpec
from service.preflight import hub, hub_downloads
from service.preflight.hub_downloads import DownloadStoppedError, DownloadWatch, commit_of
from service.preflight.models import download_model, resolve_model
from tests.service.preflight.fake_hub import COMMIT
from tests.service.preflight.test_hub import MODEL, with_hub

SIZE = 3_000_000
WEIGHTS = (2).to_bytes(8, "little") + b"{}" + bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def online(settings, fake_hub, make_model):
    """Settings with a hub whose model has weights of some size."""
    folder = make_model("Tiny/model", root=fake_hub.root)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return with_hub(settings, fake_hub.url)


class Watch:
    def __init__(self, *, stop_after_writes: int | None = None) -> None:
        self.told: list[str] = []
        self.num_asked = 0
        self.stop_after_writes = stop_after_writes

    def should_stop(self) -> bool:
        self.num_asked += 1
        return self.stop_after_writes is not None and self.num_asked > self.stop_after_writes

    def download(self, settings, model: ModelSpec = MODEL):
        watch = DownloadWatch(self.told.append, self.should_stop)
        return download_model(model, settings=settings, field="student", watch=watch)


def incomplete_files(settings):
    return list(settings.hub_cache_dir.rglob("*.incomplete"))


def test_a_download_is_told_with_its_commit_and_size_and_leaves_a_snapshot(online):
    watch = Watch()

    folder = watch.download(online)

    assert commit_of(folder) == COMMIT
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert watch.told == [
        f"Downloading 1 files of weights of Tiny/model at commit {COMMIT[:12]}: {len(WEIGHTS):,} bytes."
    ]
    assert incomplete_files(online) == []
    assert Watch().download(online) == folder


def test_progress_is_told_now_and_then(online, monkeypatch):
    monkeypatch.setattr(hub_downloads, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000_000)
    watch = Watch()

    watch.download(online)

    assert watch.told[1].startswith(f"Downloaded 1,000,000 of {len(WEIGHTS):,} bytes of Tiny/model")
    assert len(watch.told) == 1 + 3


def test_a_worker_that_drains_keeps_what_arrived_and_the_next_goes_on_from_there(
    online, fake_hub, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000_000)
    with pytest.raises(DownloadStoppedError):
        Watch(stop_after_writes=2).download(online)
    (partial,) = incomplete_files(online)
    num_kept = partial.stat().st_size
    assert 0 < num_kept < len(WEIGHTS)
    assert resolve_model(MODEL, settings=online, field="s")
    watch = Watch()

    folder = watch.download(online)

    assert fake_hub.ranges == [("model.safetensors", f"bytes={num_kept}-")]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert watch.told[1] == (
        f"Going on with Tiny/model at commit {COMMIT[:12]} after {num_kept:,} bytes of a file."
    )
    assert incomplete_files(online) == []


def test_a_connection_that_is_cut_is_taken_up_again(online, fake_hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000_000)
    fake_hub.cut_after = 1_200_000

    folder = Watch().download(online)

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert fake_hub.ranges == [("model.safetensors", "bytes=1000000-")]


def test_bytes_that_are_not_what_the_hub_names_are_refused_and_fetched_anew(online):
    with pytest.raises(DownloadStoppedError):
        Watch(stop_after_writes=0).download(online)
    (partial,) = incomplete_files(online)
    partial.write_bytes(b"x" * 1000)

    with pytest.raises(DriftgateError) as refusal:
        Watch().download(online)

    assert refusal.value.code is ErrorCode.HUB_UNAVAILABLE
    assert "are not those that the hub names" in refusal.value.message
    assert (Watch().download(online) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_disk_without_room_is_refused_with_both_numbers_before_weights_are_asked_for(
    online, fake_hub, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=5_000))

    with pytest.raises(DriftgateError) as refusal:
        Watch().download(online)

    assert refusal.value.code is ErrorCode.DISK_FULL
    assert f"needs {len(WEIGHTS) + 64 * 2**20:,} bytes" in refusal.value.message
    assert "5,000 are free" in refusal.value.message
    assert not [path for path in fake_hub.paths if path.endswith(".safetensors")]


def test_another_commit_with_the_same_weights_fetches_them_once(online, fake_hub):
    Watch().download(online)
    fake_hub.paths.clear()
    other = ModelSpec(model="Tiny/model", revision="f" * 40)

    folder = Watch().download(online, other)

    assert commit_of(folder) == "f" * 40
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert incomplete_files(online) == []


def test_offline_a_model_that_is_not_here_is_refused_with_what_it_lacks(online, fake_hub):
    offline = online.model_copy(update={"hub_offline": True})

    for locate in (resolve_model, download_model):
        with pytest.raises(DriftgateError) as refusal:
            locate(MODEL, settings=offline, field="teacher")
        assert refusal.value.code is ErrorCode.HUB_UNAVAILABLE
        assert "it lacks all of its files" in refusal.value.message
        assert "DRIFTGATE_HUB_OFFLINE" in refusal.value.message
    assert fake_hub.paths == []


def test_offline_a_model_is_read_from_the_cache_as_far_as_it_is_there(online, fake_hub):
    offline = online.model_copy(update={"hub_offline": True})
    described = resolve_model(MODEL, settings=online, field="student")
    fake_hub.paths.clear()
    assert resolve_model(MODEL, settings=offline, field="student") == described
    with pytest.raises(DriftgateError, match=r"it lacks model\.safetensors, and the hub"):
        download_model(MODEL, settings=offline, field="student")
    (described / "model.safetensors.index.json").write_text(
        json.dumps(
            {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
        )
    )
    with pytest.raises(DriftgateError, match=r"lacks model-1-of-2\.safetensors, model-2-of-2\.saf"):
        download_model(MODEL, settings=offline, field="student")
    assert fake_hub.paths == []


def test_the_hub_librarys_own_switch_counts_as_well(online, fake_hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(DriftgateError, match="HF_HUB_OFFLINE is set"):
        resolve_model(MODEL, settings=online, field="student")
    file = hub.DatasetFile("Tiny/set", "0" * 40, "test.jsonl")
    with pytest.raises(DriftgateError, match="HF_HUB_OFFLINE is set") as refusal:
        hub.fetch_dataset_file(file, settings=online, field="f", advice="Bring a copy.")

    assert refusal.value.code is ErrorCode.HUB_UNAVAILABLE
    assert fake_hub.paths == []
