import threading

import pytest

from service import artifact_cleanup
from service.artifact_cleanup import ArtifactCleanup
from service.artifacts import cloud_filesystem
from service.artifacts.local_folder import LocalFolder
from service.artifacts.stores import ArtifactStores, open_artifacts
from service.storage.job_store import JobStore
from tests.worker.small_jobs import small_job


@pytest.fixture
def job_store(database):
    return JobStore(database)


@pytest.fixture
def artifact_root(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def cleanup(job_store, artifact_root):
    return ArtifactCleanup(
        job_store=job_store, artifacts=ArtifactStores(LocalFolder(artifact_root))
    )


def a_job(job_store, artifact_root):
    """Its id; it was cancelled, and left a folder."""
    job_id = job_store.create(small_job(), warnings=(), queue="default").id
    job_store.request_cancel(job_id)
    folder = artifact_root / "jobs" / job_id / "1" / "step-2"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return job_id


def folders(artifact_root):
    return sorted(path.name for path in (artifact_root / "jobs").iterdir())


def test_the_folder_of_a_deleted_job_goes_and_no_other(cleanup, job_store, artifact_root):
    deleted, kept = a_job(job_store, artifact_root), a_job(job_store, artifact_root)
    job_store.delete(deleted)

    cleanup.run_once()

    assert folders(artifact_root) == [kept]
    assert job_store.folders_to_remove(10) == []


def test_a_folder_that_is_not_there_is_done_with_where_the_store_is(
    cleanup, job_store, artifact_root
):
    deleted = a_job(job_store, artifact_root)
    job_store.delete(deleted)
    (artifact_root / "jobs").rename(artifact_root / "away")

    cleanup.run_once()
    assert job_store.folders_to_remove(10) == [deleted], "this host has no store"

    (artifact_root / "jobs").mkdir()
    cleanup.run_once()
    assert job_store.folders_to_remove(10) == []


def test_links_are_removed_and_never_followed(cleanup, job_store, artifact_root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    inside_link, is_link = a_job(job_store, artifact_root), a_job(job_store, artifact_root)
    (artifact_root / "jobs" / inside_link / "link").symlink_to(outside)
    (artifact_root / "jobs" / is_link).rename(tmp_path / "moved")
    (artifact_root / "jobs" / is_link).symlink_to(outside)
    for job_id in (inside_link, is_link):
        job_store.delete(job_id)

    cleanup.run_once()

    assert folders(artifact_root) == []
    assert (outside / "precious").exists()
    assert job_store.folders_to_remove(10) == []


def test_what_cannot_be_removed_stays_due_and_stands_in_nobodys_way(
    cleanup, job_store, artifact_root, caplog
):
    stuck, removable = a_job(job_store, artifact_root), a_job(job_store, artifact_root)
    for job_id in (stuck, removable):
        job_store.delete(job_id)
    # A file in the folder's place: it is no folder that could be emptied.
    (artifact_root / "jobs" / stuck).rename(artifact_root / "away")
    (artifact_root / "jobs" / stuck).touch()

    cleanup.run_once()
    cleanup.run_once()

    assert folders(artifact_root) == [stuck]
    assert job_store.folders_to_remove(10) == [stuck]
    assert [stuck in message for message in caplog.messages] == [True], "said once"


def test_a_round_removes_a_bounded_number(cleanup, job_store, artifact_root, monkeypatch):
    monkeypatch.setattr(artifact_cleanup, "MAX_REMOVED_AT_ONCE", 2)
    for _ in range(3):
        job_store.delete(a_job(job_store, artifact_root))

    cleanup.run_once()
    assert len(folders(artifact_root)) == 1
    cleanup.run_once()
    assert folders(artifact_root) == []


def test_several_at_once_remove_all_and_nothing_else(job_store, artifact_root):
    kept = a_job(job_store, artifact_root)
    for _ in range(4):
        job_store.delete(a_job(job_store, artifact_root))
    cleanups = [
        ArtifactCleanup(job_store=job_store, artifacts=ArtifactStores(LocalFolder(artifact_root)))
        for _ in range(3)
    ]
    threads = [threading.Thread(target=each.run_once) for each in cleanups]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cleanups[0].run_once()  # what one left to another

    assert folders(artifact_root) == [kept]
    assert job_store.folders_to_remove(100) == []


def test_the_objects_of_a_deleted_job_go_and_no_others(
    job_store, settings_factory, bucket, artifact_root
):
    artifacts = open_artifacts(settings_factory(artifact_root=artifact_root, **bucket.settings()))
    deleted, kept = a_job(job_store, artifact_root), a_job(job_store, artifact_root)
    for job_id in (deleted, kept):
        bucket.put(f"run/jobs/{job_id}/1/step-2/weights", b"1")
    job_store.delete(deleted)

    ArtifactCleanup(job_store=job_store, artifacts=artifacts).run_once()

    assert bucket.names() == [f"run/jobs/{kept}/1/step-2/weights"]
    assert folders(artifact_root) == [kept]
    assert job_store.folders_to_remove(10) == []


def test_a_store_that_is_away_is_asked_once_a_round_and_again_the_next(
    job_store, settings_factory, bucket, unused_port, artifact_root, monkeypatch, caplog
):
    monkeypatch.setattr(cloud_filesystem, "CLIENT_RETRY", {"max_retries": 0})
    fields = bucket.settings() | {"artifact_endpoint": f"http://127.0.0.1:{unused_port}"}
    artifacts = open_artifacts(settings_factory(**fields))
    for _ in range(3):
        job_store.delete(a_job(job_store, artifact_root))

    ArtifactCleanup(job_store=job_store, artifacts=artifacts).run_once()

    assert len([each for each in caplog.messages if "stay for now" in each]) == 1
    assert len(job_store.folders_to_remove(10)) == 3
