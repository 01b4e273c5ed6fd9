"""A checkpoint in a folder and in a bucket of a real S3 server: what of it is damaged is found, and nothing of that used."""

from pathlib import Path

import pytest

from service.artifacts.stores import open_artifacts
from service.checkpoint_files import CheckpointOperations
from service.errors import DriftgateError, ErrorCode
from service.preflight.checkpoint_folder import open_checkpoint
from service.storage.sessions import Database
from tests.saved_checkpoints import FILES, LOADABLE, WEIGHTS, saved_job


class Damage:
    """Changes files of a checkpoint behind the store's back."""

    def __init__(self, settings, bucket):
        self._root = settings.resolved_artifact_root()
        self._bucket = bucket

    def put(self, key, content):
        if self._bucket is None:
            (self._root / key).write_bytes(content)
        else:
            self._bucket.put(f"run/{key}", content)

    def remove(self, key):
        if self._bucket is None:
            (self._root / key).unlink()
        else:
            self._bucket.delete(f"run/{key}")


@pytest.fixture(params=["folder", "s3"])
def bucket(request):
    return request.getfixturevalue("bucket") if request.param == "s3" else None


@pytest.fixture
def settings(settings_factory, sqlite_url, bucket):
    fields = {} if bucket is None else bucket.settings()
    return settings_factory(database_url=sqlite_url, **fields)


@pytest.fixture
def saved(settings, sqlite_url):
    database = Database(sqlite_url)
    yield saved_job(database, settings)
    database.close()


@pytest.fixture
def damage(settings, bucket):
    return Damage(settings, bucket)


def proved(saved, settings, tmp_path, step=4):
    folder = open_checkpoint(saved.checkpoints[step], artifacts=open_artifacts(settings))
    return folder.proved_on_this_host(tmp_path / "copy" / "checkpoint")


def contents(folder: Path):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_sound_checkpoint_is_there_on_this_host_with_every_file(saved, settings, tmp_path):
    found = contents(proved(saved, settings, tmp_path))
    found.pop("manifest.json", None)
    assert found == FILES


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (lambda damage, key: damage.put(f"{key}/model.safetensors", WEIGHTS[:-1]), "4,095 bytes"),
        (
            lambda damage, key: damage.put(f"{key}/model.safetensors", b"\x01" + WEIGHTS[1:]),
            "model.safetensors cannot be used: its bytes",
        ),
        (lambda damage, key: damage.put(f"{key}/trainer_state.json", b"[]"), "trainer_state.json"),
        (
            lambda damage, key: damage.remove(f"{key}/config.json"),
            "config.json cannot be used: it is missing",
        ),
        (
            lambda damage, key: damage.remove(f"{key}/manifest.json"),
            "manifest.json cannot be used: it is missing",
        ),
        (lambda damage, key: damage.put(f"{key}/manifest.json", b"{}"), "manifest.json"),
        (lambda damage, key: damage.put(f"{key}/manifest.json", b""), "manifest.json"),
    ],
    ids=["cut", "flipped", "other", "missing", "no manifest", "other manifest", "empty manifest"],
)
def test_damage_is_found_before_anything_is_used_and_the_one_before_is_sound(
    saved, settings, damage, tmp_path, damaged, told
):
    damaged(damage, saved.key(4))
    with pytest.raises(DriftgateError) as refusal:
        proved(saved, settings, tmp_path)
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert told in refusal.value.message
    assert (proved(saved, settings, tmp_path / "other", step=2) / "config.json").is_file()


def test_a_checkpoint_that_is_gone_or_in_another_store_is_not_seen(
    saved, settings, settings_factory, tmp_path
):
    open_artifacts(settings).written.remove_folder(saved.key(4))
    elsewhere = settings_factory(data_dir=tmp_path / "else")
    for step, artifacts in ((4, open_artifacts(settings)), (2, open_artifacts(elsewhere))):
        with pytest.raises(DriftgateError, match="does not see") as refusal:
            open_checkpoint(saved.checkpoints[step], artifacts=artifacts)
        assert refusal.value.code is ErrorCode.RESOURCE_NOT_FOUND


def test_only_the_named_files_are_copied_to_this_host(saved, settings, tmp_path, bucket):
    folder = open_checkpoint(saved.checkpoints[4], artifacts=open_artifacts(settings))
    here = folder.on_this_host(tmp_path / "a" / "copy", names=folder.manifest.loadable_names())
    path = here.local_path("model.safetensors")
    assert path is not None
    assert path.read_bytes() == WEIGHTS
    copied = sorted(contents(tmp_path / "a" / "copy"))
    assert copied == ([] if bucket is None else LOADABLE)


def test_the_api_serves_files_and_archives_from_either(saved, settings):
    operations = CheckpointOperations(
        result_store=saved.results, artifacts=open_artifacts(settings)
    )
    file = operations.open_file(saved.job.id, "4", "adapter/adapter_config.json")
    assert (file.file_name, file.size_bytes) == ("adapter_config.json", 2)
    with file.open() as content:
        assert content.read() == b"{}"
    archive = operations.archive(saved.job.id, "4", include=["optimizer"])
    assert sum(len(chunk) for chunk in archive.chunks) == archive.size_bytes
