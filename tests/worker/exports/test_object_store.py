"""Exports to obstore's own stores in memory, and over HTTP to a server that answers as S3 does."""

import base64
import json
import threading

import obstore
import pytest
from obstore.store import MemoryStore

from service.artifacts import cloud_clients
from service.errors import DriftgateError, ErrorCode
from service.jobs.export_spec import ObjectStoreDestination
from tests.saved_checkpoints import FILES, LOADABLE
from tests.worker.exports.fake_s3 import FakeS3
from tests.worker.exports.sources import Reports, a_source
from worker.attempt_end import StopRequestedError
from worker.exports import object_store, tries
from worker.exports.object_store import copy_to_store, open_store

URL = "s3://models/students/first"
SECRETS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "s3cr3t/key+value"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(tries, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(object_store, "CLIENT_RETRY", {"max_retries": 0})


@pytest.fixture
def fake_s3():
    server = FakeS3()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def s3_store(fake_s3):
    return open_store(
        ObjectStoreDestination(url=URL, endpoint=fake_s3.url, region="eu-1"), secrets=SECRETS
    )


def content_of(store):
    names = [each["path"] for each in obstore.list(store).collect()]
    return {name: bytes(obstore.get(store, name).bytes()) for name in names}


def test_the_models_files_become_objects_and_the_manifest_is_the_last_of_them(tmp_path, fake_s3):
    reports = Reports()
    source = a_source(tmp_path, reports=reports)

    copy_to_store(source, s3_store(fake_s3), url=URL, secrets=SECRETS.values())

    prefix = "models/students/first"
    assert fake_s3.stored == [f"{prefix}/{name}" for name in [*LOADABLE, "manifest.json"]]
    manifest = json.loads(fake_s3.objects[f"{prefix}/manifest.json"])
    assert sorted(manifest["files"]) == LOADABLE
    assert fake_s3.objects[f"{prefix}/model.safetensors"] == FILES["model.safetensors"]
    assert reports[-1] == "Copied 3 of 3 files, 4.1 kB of 4.1 kB."
    (authorization,) = {value.split("/")[0] for value in fake_s3.authorizations}
    assert authorization == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE"


def test_errors_that_pass_are_waited_out(tmp_path, fake_s3):
    failures = iter([503, 500, 503])
    fake_s3.status_of = lambda method, path: next(failures, None) if method == "PUT" else None

    copy_to_store(a_source(tmp_path, reports=Reports()), s3_store(fake_s3), url=URL)

    assert len(fake_s3.stored) == 4


@pytest.mark.parametrize("status", [403, 503])
def test_a_store_that_refuses_fails_the_export_naming_the_file_and_no_secret(
    tmp_path, fake_s3, status, caplog
):
    fake_s3.status_of = lambda method, path: status if path.endswith(".safetensors") else None

    with pytest.raises(DriftgateError) as refusal:
        copy_to_store(
            a_source(tmp_path, reports=Reports()),
            s3_store(fake_s3),
            url=URL,
            secrets=SECRETS.values(),
        )

    assert refusal.value.code is ErrorCode.EXPORT_FAILED
    assert f"{URL} did not take model.safetensors" in refusal.value.message
    assert "\n" not in refusal.value.message
    assert not any(secret in refusal.value.message + caplog.text for secret in SECRETS.values())
    assert "models/students/first/manifest.json" not in fake_s3.objects


def test_a_stopped_export_is_done_anew_by_the_next_attempt(tmp_path):
    store = MemoryStore()
    reports = Reports(stop_after=2)
    with pytest.raises(StopRequestedError):
        copy_to_store(a_source(tmp_path, reports=reports), store, url=URL)
    assert "manifest.json" not in content_of(store)

    copy_to_store(a_source(tmp_path, reports=Reports()), store, url=URL)
    copied = content_of(store)
    assert copied.pop("manifest.json")
    assert copied == {name: FILES[name] for name in LOADABLE}


def test_a_finished_export_is_looked_at_and_not_copied_again(tmp_path, fake_s3):
    copy_to_store(a_source(tmp_path, reports=Reports()), s3_store(fake_s3), url=URL)
    fake_s3.stored.clear()
    reports = Reports()

    copy_to_store(a_source(tmp_path, reports=reports), s3_store(fake_s3), url=URL)

    assert reports == []
    assert not any(path.endswith(".safetensors") for path in fake_s3.stored)


def test_another_checkpoint_at_the_prefix_is_kept(tmp_path):
    store = MemoryStore()
    copy_to_store(a_source(tmp_path, reports=Reports()), store, url=URL)
    before = content_of(store)
    with pytest.raises(DriftgateError, match="already holds another checkpoint") as refusal:
        copy_to_store(a_source(tmp_path, reports=Reports(), step=6), store, url=URL)
    assert refusal.value.code is ErrorCode.EXPORT_FAILED
    assert content_of(store) == before


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "below/it.txt"])
def test_a_prefix_with_other_objects_is_not_written_to(tmp_path, fake_s3, name):
    fake_s3.objects = {
        f"models/students/first/{name}": b"",
        "models/students/first-one/x": b"",
        "models/students/first/config.json": b"left by an attempt that was cut",
    }
    with pytest.raises(DriftgateError, match=f"already holds an object '{name}'") as refusal:
        copy_to_store(a_source(tmp_path, reports=Reports()), s3_store(fake_s3), url=URL)
    assert (refusal.value.code, fake_s3.stored) == (ErrorCode.EXPORT_FAILED, [])

    del fake_s3.objects[f"models/students/first/{name}"]
    copy_to_store(a_source(tmp_path, reports=Reports()), s3_store(fake_s3), url=URL)
    assert len(fake_s3.stored) == 4


def test_large_files_go_in_parts_and_a_change_of_one_stores_nothing_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "PART_BYTES", 2**20)
    monkeypatch.setattr(cloud_clients, "PART_BYTES", 2**20)
    large = {"model.safetensors": bytes(range(256)) * 4096 * 5}
    store = MemoryStore()
    copy_to_store(a_source(tmp_path, reports=Reports(), files=large), store, url=URL)
    assert content_of(store)["model.safetensors"] == large["model.safetensors"]

    source = a_source(tmp_path, reports=Reports(), files=large)
    changed = source.folder.local_path() / "model.safetensors"
    changed.write_bytes(large["model.safetensors"][:-1] + b"!")
    other = MemoryStore()
    with pytest.raises(DriftgateError) as refusal:
        copy_to_store(source, other, url=URL)
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert content_of(other) == {}


def test_an_object_of_another_size_than_was_sent_fails_the_export(tmp_path, fake_s3):
    def cut_when_looked_at(method, path):
        if method == "HEAD" and path.endswith("config.json"):
            fake_s3.objects[path] = b"{"

    fake_s3.status_of = cut_when_looked_at
    with pytest.raises(DriftgateError, match="The store has 1 bytes") as refusal:
        copy_to_store(a_source(tmp_path, reports=Reports()), s3_store(fake_s3), url=URL)
    assert refusal.value.code is ErrorCode.EXPORT_FAILED
    assert "models/students/first/manifest.json" not in fake_s3.objects


@pytest.mark.parametrize(
    ("fields", "secrets", "shown"),
    [
        ({"url": URL}, SECRETS, 'S3Store(bucket="models", prefix="students/first")'),
        (
            {"url": "abfs://box@account.dfs.core.windows.net/a"},
            {"account_key": base64.b64encode(b"key").decode()},
            'AzureStore(container_name="box", account_name="account", prefix="a")',
        ),
        (
            {"url": "az://box/a", "account_name": "account"},
            {"sas_token": "sv=2024&sig=abc"},
            'AzureStore(container_name="box", account_name="account", prefix="a")',
        ),
        (
            {"url": "gs://models/a"},
            {
                "service_account_key": base64.b64encode(
                    json.dumps(
                        {"disable_oauth": True, "gcs_base_url": "https://localhost:1"}
                        | dict.fromkeys(["client_email", "private_key", "private_key_id"], "")
                    ).encode()
                ).decode()
            },
            'GCSStore(bucket="models", prefix="a")',
        ),
    ],
)
def test_every_store_opens_with_its_own_credentials(fields, secrets, shown):
    assert repr(open_store(ObjectStoreDestination(**fields), secrets=secrets)) == shown


def test_credentials_that_cannot_be_read_fail_without_showing_them():
    with pytest.raises(DriftgateError) as refusal:
        open_store(
            ObjectStoreDestination(url="gs://models/a"), secrets={"service_account_key": "s3cr3t!"}
        )
    assert refusal.value.code is ErrorCode.EXPORT_FAILED
    assert "s3cr3t" not in refusal.value.message
