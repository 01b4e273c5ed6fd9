import hashlib
import io
import tarfile

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import JobKind
from tests.saved_checkpoints import FILES, LOADABLE, WEIGHTS, saved_job
from tests.service.scripted_service import ScriptedService


def test_checkpoints_are_downloaded_by_file_and_as_an_archive(rest_service, rest_client, tmp_path):
    saved = saved_job(rest_service.database, rest_service.settings)
    content = rest_client.checkpoint(saved.job.id, "final")
    assert content == rest_client.checkpoint(saved.job.id)
    assert [file.name for file in content.files] == sorted(FILES)
    (adapter,) = (file for file in content.files if file.name.startswith("adapter/"))
    rest_client.download_checkpoint_file(
        saved.job.id, 4, adapter.name, tmp_path / "adapter.json", sha256=adapter.sha256
    )
    assert (tmp_path / "adapter.json").read_bytes() == FILES[adapter.name]
    rest_client.download_checkpoint_archive(saved.job.id, 2, tmp_path / "model.tar")
    with tarfile.open(tmp_path / "model.tar") as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert set(LOADABLE) <= set(names)
    assert {path.name for path in tmp_path.iterdir()} >= {"adapter.json", "model.tar"}
    assert not list(tmp_path.glob(".*.part"))


def test_a_download_that_is_not_what_was_saved_leaves_nothing(tmp_path):
    service = ScriptedService((200, b"other bytes"))
    with service.client() as client, pytest.raises(DriftgateError) as refusal:
        client.download_checkpoint_file(
            "1", 4, "a b/c", tmp_path / "c", sha256=hashlib.sha256(WEIGHTS).hexdigest()
        )
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert list(tmp_path.iterdir()) == []
    assert service.requests[0].url.raw_path == b"/prefix/v1/jobs/1/checkpoints/4/files/a%20b/c"


def test_an_archive_that_lacks_a_file_leaves_nothing(rest_service, rest_client, tmp_path):
    saved = saved_job(rest_service.database, rest_service.settings)
    content = rest_client.checkpoint(saved.job.id)
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    scripted = ScriptedService((200, content), (200, empty.getvalue()))
    with scripted.client() as other, pytest.raises(DriftgateError, match="it is missing"):
        other.download_checkpoint_archive(saved.job.id, "latest", tmp_path / "model.tar")
    assert not (tmp_path / "model.tar").exists()
    # By its number: what is the newest may be another when the archive is asked for.
    assert scripted.requests[1].url.path == f"/prefix/v1/jobs/{saved.job.id}/checkpoints/4:archive"


def test_a_checkpoint_is_exported_by_a_job_that_is_made_once(rest_service, rest_client):
    saved = saved_job(rest_service.database, rest_service.settings)
    body = {"destination": {"type": "folder", "path": "students/first"}}
    job = rest_client.export_checkpoint(saved.job.id, "final", body, idempotency_key="once")
    assert job.spec.kind is JobKind.EXPORT
    assert rest_client.export_checkpoint(saved.job.id, "final", body, idempotency_key="once") == job
