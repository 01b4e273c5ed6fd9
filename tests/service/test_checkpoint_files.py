import hashlib
import io
import json
import tarfile

import pytest

from service.artifacts.local_folder import LocalFolder
from service.artifacts.stores import ArtifactStores, open_artifacts
from service.checkpoint_files import CheckpointOperations
from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import is_plain_name
from service.jobs.export_spec import ExportRequest
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.saved_checkpoints import FILES, LOADABLE, WEIGHTS, lose, saved_job, truncate


@pytest.fixture
def settings(settings_factory, sqlite_url):
    return settings_factory(database_url=sqlite_url)


@pytest.fixture
def saved(settings, sqlite_url):
    database = Database(sqlite_url)
    yield saved_job(database, settings)
    database.close()


@pytest.fixture
def operations(saved):
    return CheckpointOperations(
        result_store=saved.results, artifacts=open_artifacts(saved.settings)
    )


def refusal_of(call):
    with pytest.raises(DriftgateError) as refusal:
        call()
    return refusal.value


def test_a_checkpoint_lists_its_files_with_size_hash_and_whether_they_are_the_model(
    operations, saved
):
    content = operations.content(saved.job.id, "2")

    assert (content.job_id, content.checkpoint) == (saved.job.id, saved.checkpoints[2])
    assert {file.name: file.size_bytes for file in content.files} == {
        name: len(text) for name, text in FILES.items()
    }
    assert [file.name for file in content.files if file.loadable] == LOADABLE
    weights = next(file for file in content.files if file.name == "model.safetensors")
    assert weights.sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_step_is_a_number_or_latest_or_final(operations, saved, sqlite_url):
    steps = {
        step: operations.content(saved.job.id, step).checkpoint.step
        for step in ("2", "4", "final", "latest")
    }
    assert steps == {"2": 2, "4": 4, "final": 4, "latest": 4}
    for step in ("3", "0"):
        refusal = refusal_of(lambda step=step: operations.content(saved.job.id, step))
        assert refusal.code is ErrorCode.RESOURCE_NOT_FOUND
        assert "it keeps: 4, 2" in refusal.message
    for step in ("-1", "newest", "2\0", "٢", "9" * 5000, "1000001"):
        refusal = refusal_of(lambda step=step: operations.content(saved.job.id, step))
        assert refusal.code is ErrorCode.INVALID_ARGUMENT
    assert refusal_of(lambda: operations.content("0" * 32, "2")).code is ErrorCode.JOB_NOT_FOUND


def test_a_manifest_that_was_changed_is_corrupt(operations, saved):
    path = saved.folder(4) / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")

    refusal = refusal_of(lambda: operations.content(saved.job.id, "4"))

    assert refusal.code is ErrorCode.CHECKPOINT_CORRUPT
    assert "manifest.json" in refusal.message
    path.unlink()
    assert (
        refusal_of(lambda: operations.content(saved.job.id, "4")).code
        is ErrorCode.CHECKPOINT_CORRUPT
    )


def test_a_folder_that_this_host_does_not_see_is_not_found_and_the_answer_says_so(
    operations, saved, tmp_path
):
    lose(saved, 4)
    refusal = refusal_of(lambda: operations.content(saved.job.id, "4"))
    assert refusal.code is ErrorCode.RESOURCE_NOT_FOUND
    assert "This host does not see" in refusal.message

    elsewhere = CheckpointOperations(
        result_store=saved.results, artifacts=ArtifactStores(LocalFolder(tmp_path / "else"))
    )
    refusal = refusal_of(lambda: elsewhere.content(saved.job.id, "2"))
    assert refusal.code is ErrorCode.RESOURCE_NOT_FOUND


def test_a_link_out_of_the_artifact_root_is_not_followed(operations, saved, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(WEIGHTS)
    weights = saved.folder(2) / "model.safetensors"
    weights.unlink()
    weights.symlink_to(secret)
    refusal = refusal_of(lambda: operations.open_file(saved.job.id, "2", "model.safetensors"))
    assert (refusal.code, "no regular file" in refusal.message) == (
        ErrorCode.CHECKPOINT_CORRUPT,
        True,
    )

    moved = tmp_path / "moved"
    saved.folder(4).rename(moved)
    saved.folder(4).symlink_to(moved)
    assert (
        refusal_of(lambda: operations.content(saved.job.id, "4")).code
        is ErrorCode.RESOURCE_NOT_FOUND
    )
    adapter = saved.folder(2) / "adapter"
    adapter.rename(tmp_path / "adapter")
    adapter.symlink_to(tmp_path / "adapter")
    name = "adapter/adapter_config.json"
    refusal = refusal_of(lambda: operations.open_file(saved.job.id, "2", name))
    assert refusal.code is ErrorCode.CHECKPOINT_CORRUPT


@pytest.mark.parametrize(
    "name", ["../step-2/config.json", "/etc/passwd", "manifest.json", "", "a\0b"]
)
def test_only_files_that_the_manifest_names_are_opened(operations, saved, name):
    refusal = refusal_of(lambda: operations.open_file(saved.job.id, "4", name))
    assert refusal.code is ErrorCode.RESOURCE_NOT_FOUND
    assert "config.json" in refusal.violations[0].allowed


def test_names_that_leave_the_folder_or_can_be_written_otherwise_are_no_plain_names():
    assert all(is_plain_name(name) for name in ("a", "a/b.json", "a..b", ".a"))
    wrong = ("", ".", "..", "../a", "a/../b", "/a", "a//b", "./a", "a/", "a\0")
    assert not any(is_plain_name(name) for name in wrong)


def test_a_manifest_that_names_a_path_outside_is_corrupt_though_its_hash_is_recorded(
    settings, sqlite_url, operations, saved
):
    entry = {"sha256": hashlib.sha256(b"").hexdigest(), "size_bytes": 0}
    text = json.dumps({"step": 4, "update": 8, "files": {"../../x": entry}}).encode()
    (saved.folder(4) / "manifest.json").write_bytes(text)
    checkpoint = saved.checkpoints[4].model_copy(
        update={"manifest_sha256": hashlib.sha256(text).hexdigest()}
    )

    class OneCheckpoint(ResultStore):
        def checkpoints(self, job_id):
            found = super().checkpoints(job_id)
            return found.model_copy(update={"checkpoints": (checkpoint,)})

    database = Database(sqlite_url)
    hostile = CheckpointOperations(
        result_store=OneCheckpoint(database), artifacts=open_artifacts(settings)
    )
    refusal = refusal_of(lambda: hostile.content(saved.job.id, "latest"))
    database.close()
    assert (refusal.code, "../../x" in refusal.message) == (ErrorCode.CHECKPOINT_CORRUPT, True)


def test_an_archive_has_the_models_files_the_size_it_announces_and_the_manifest_at_its_end(
    operations, saved
):
    archive = operations.archive(saved.job.id, "final")
    content = b"".join(archive.chunks)

    assert len(content) == archive.size_bytes
    assert archive.file_name == f"{saved.job.id}-step-4.tar"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    folder = f"{saved.job.id}-step-4"
    assert list(members) == [f"{folder}/{name}" for name in [*LOADABLE, "manifest.json"]]
    assert members[f"{folder}/model.safetensors"] == WEIGHTS
    manifest = json.loads(members[f"{folder}/manifest.json"])
    assert (manifest["step"], sorted(manifest["files"])) == (4, LOADABLE)


def test_an_archive_with_the_optimizer_has_every_file_and_the_manifest_as_it_was_saved(
    operations, saved
):
    archive = operations.archive(saved.job.id, "4", include=["optimizer"])
    content = b"".join(archive.chunks)

    assert len(content) == archive.size_bytes
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in tar}
    assert set(members) == {*FILES, "manifest.json"}
    assert members["manifest.json"] == (saved.folder(4) / "manifest.json").read_bytes()


def test_an_archive_takes_long_names_and_empty_files(settings, sqlite_url):
    files = {f"{'long-' * 30}/{'n' * 120}.json": b"{}", "empty.txt": b""}
    database = Database(sqlite_url)
    saved = saved_job(database, settings, steps=(1,), files=files)
    operations = CheckpointOperations(
        result_store=saved.results, artifacts=open_artifacts(settings)
    )
    archive = operations.archive(saved.job.id, "1")
    content = b"".join(archive.chunks)
    database.close()

    assert len(content) == archive.size_bytes
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        read = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in tar}
    assert {name: read[name] for name in files} == files


def test_a_truncated_file_refuses_an_archive_before_its_first_byte(operations, saved):
    truncate(saved.folder(4) / "model.safetensors")
    for call in (
        lambda: operations.archive(saved.job.id, "4"),
        lambda: operations.open_file(saved.job.id, "4", "model.safetensors"),
    ):
        refusal = refusal_of(call)
        assert refusal.code is ErrorCode.CHECKPOINT_CORRUPT
        assert "4,095 bytes in place of 4,096" in refusal.message


@pytest.mark.parametrize("content", [WEIGHTS[:-1], WEIGHTS + b"!", b"!" + WEIGHTS[1:]])
def test_a_file_that_changes_while_it_is_archived_breaks_the_stream_off(operations, saved, content):
    archive = operations.archive(saved.job.id, "4")
    (saved.folder(4) / "model.safetensors").write_bytes(content)
    sent = bytearray()

    with pytest.raises(DriftgateError, match=r"model\.safetensors") as broken:
        sent.extend(byte for chunk in archive.chunks for byte in chunk)

    assert broken.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert len(sent) < archive.size_bytes
    assert content[-100:] not in sent


def test_an_export_of_a_step_names_it_and_one_of_the_latest_leaves_it_open(operations, saved):
    request = ExportRequest(destination={"type": "folder", "path": "a"}, labels={"to": "a"})
    steps = {
        step: operations.export_spec(saved.job.id, step, request).step
        for step in ("2", "final", "latest")
    }
    assert steps == {"2": 2, "final": 4, "latest": None}
    spec = operations.export_spec(saved.job.id, "2", request)
    assert (spec.kind, spec.job_id, spec.labels) == ("export", saved.job.id, {"to": "a"})
    assert spec.destination == request.destination
    refusal = refusal_of(lambda: operations.export_spec(saved.job.id, "3", request))
    assert refusal.code is ErrorCode.RESOURCE_NOT_FOUND
    for step in ("2", "latest"):
        refusal = refusal_of(lambda step=step: operations.export_spec("no\0id", step, request))
        assert refusal.code is ErrorCode.JOB_NOT_FOUND
