"""Every store by the same tests: a folder, the memory of fsspec, and a bucket of a real S3 server."""

import io
import os
import uuid

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from service.artifacts import cloud_clients, cloud_filesystem
from service.artifacts.local_folder import LocalFolder
from service.artifacts.remote_folder import RemoteFolder
from service.artifacts.store import unavailable
from service.artifacts.stores import open_artifacts
from service.errors import DriftgateError, ErrorCode

FILES = {"adapter/config.json": b"{}", "empty.txt": b"", "weights": bytes(range(256)) * 5000}


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request, settings_factory, tmp_path):
    match request.param:
        case "folder":
            fields = {"artifact_url": (tmp_path / "a store").as_uri()}
        case "memory":
            fields = {"artifact_url": f"memory://{uuid.uuid4().hex}/run"}
        case _:
            fields = request.getfixturevalue("bucket").settings()
    return open_artifacts(settings_factory(**fields)).written


def put_folder(store, tmp_path, key, files=FILES):
    source = store.local_path(key) or tmp_path / "made" / key
    for name, content in {**files, "manifest.json": b"{}"}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    store.put_folder(source, key)


def read(store, key):
    with store.open(key) as file:
        return file.read()


def test_a_folder_comes_back_file_by_file_and_goes_with_all_that_it_holds(store, tmp_path):
    put_folder(store, tmp_path, "jobs/a/1/step-2")
    put_folder(store, tmp_path, "jobs/a/1/step-20")

    assert store.names("jobs/a/1") == ["step-2", "step-20"]
    assert store.names("jobs/a/1/step-2") == ["adapter", "empty.txt", "manifest.json", "weights"]
    for name, content in FILES.items():
        assert store.size_bytes(f"jobs/a/1/step-2/{name}") == len(content)
        assert read(store, f"jobs/a/1/step-2/{name}") == content
    store.remove_folder("jobs/a/1/step-2")
    assert (store.has_folder("jobs/a/1/step-2"), store.names("jobs/a/1/step-2")) == (False, [])
    assert read(store, "jobs/a/1/step-20/manifest.json") == b"{}"
    store.remove_folder("jobs/a")
    assert not store.has_folder("jobs/a")
    store.remove_folder("jobs/a")


def test_what_is_not_there_is_a_file_not_found(store, tmp_path):
    put_folder(store, tmp_path, "jobs/a/1/step-2")
    for key in ("jobs/a/1/step-2/other", "jobs/b/config.json"):
        with pytest.raises(FileNotFoundError):
            store.open(key)
        with pytest.raises(FileNotFoundError):
            store.size_bytes(key)
    store.remove_file("jobs/b/config.json")
    with pytest.raises(OSError, match=r"jobs/a/1|regular"):
        store.size_bytes("jobs/a/1")


def test_a_file_is_read_from_wherever_it_is_sought_to(store, tmp_path):
    put_folder(store, tmp_path, "jobs/a/1/step-2")
    with store.open("jobs/a/1/step-2/weights") as file:
        file.seek(1_000_003)
        assert file.read(5) == FILES["weights"][1_000_003:1_000_008]
        assert file.tell() == 1_000_008
        file.seek(-2, io.SEEK_END)
        assert file.read() == FILES["weights"][-2:]
        assert file.read() == b""


def test_a_file_replaces_the_one_before_and_its_source_stays(store, tmp_path):
    source = tmp_path / "upload"
    for content in (b"first", b"the second"):
        source.write_bytes(content)
        store.put_file(source, "datasets/ds-1.jsonl")
        source.unlink()
        assert read(store, "datasets/ds-1.jsonl") == content
    assert store.names("datasets") == ["ds-1.jsonl"]


def test_a_uri_leads_back_to_its_key_and_no_other_uri_to_any(store):
    uri = store.uri("jobs/a/1/step-2")
    assert store.key_of(uri) == "jobs/a/1/step-2"
    root = uri.removesuffix("/jobs/a/1/step-2")
    for other in (
        root,
        f"{root}/",
        f"{root}-2/jobs/a",
        f"{root}/../x",
        "s3://elsewhere/run/a",
        "/a",
        "a",
    ):
        assert store.key_of(other) is None, other


class Recorded(MemoryFileSystem):
    """fsspec's memory, which tells in what order files were written and removed."""

    cachable = False

    def __init__(self):
        super().__init__()
        self.calls = []

    def put_file(self, lpath, rpath, **options):
        self.calls.append(("put", rpath.rpartition("/")[2]))
        super().put_file(lpath, rpath, **options)

    def rm_file(self, path):
        self.calls.append(("remove", path.rpartition("/")[2]))
        super().rm_file(path)


def test_the_manifest_is_written_last_and_removed_first(tmp_path):
    filesystem = Recorded()
    store = RemoteFolder(filesystem, root=f"/{uuid.uuid4().hex}", url="memory://any")
    put_folder(store, tmp_path, "step-2", files={"a": b"1", "z": b"2"})
    store.remove_folder("step-2")
    assert filesystem.calls[:4] == [
        ("put", "a"),
        ("put", "z"),
        ("put", "manifest.json"),
        ("remove", "manifest.json"),
    ]
    assert sorted(filesystem.calls[4:]) == [("remove", "a"), ("remove", "z")]


def test_a_file_that_the_store_has_shorter_than_it_was_sent_is_an_error(tmp_path):
    class Short(Recorded):
        def put_file(self, lpath, rpath, **options):
            super().put_file(lpath, rpath, **options)
            self.pipe_file(rpath, self.cat_file(rpath)[:-1])

    store = RemoteFolder(Short(), root=f"/{uuid.uuid4().hex}", url="memory://any")
    with pytest.raises(DriftgateError, match="0 bytes in place of 1") as refusal:
        put_folder(store, tmp_path, "step-2", files={"a": b"1"})
    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE


def test_a_large_file_goes_to_s3_in_parts(bucket, settings_factory, tmp_path, monkeypatch):
    monkeypatch.setattr(cloud_clients, "PART_BYTES", 5 * 2**20)
    store = open_artifacts(settings_factory(**bucket.settings())).written
    content = os.urandom(2**20) * 11
    (tmp_path / "large").write_bytes(content)
    store.put_file(tmp_path / "large", "large")
    assert bucket.get("run/large") == content
    assert read(store, "large") == content


def test_parts_are_never_more_than_a_store_takes():
    assert cloud_clients.part_bytes(10) == cloud_clients.PART_BYTES
    size_bytes = 2 * 10**12
    assert size_bytes / cloud_clients.part_bytes(size_bytes) <= cloud_clients.MAX_PARTS


@pytest.fixture
def _no_second_try(monkeypatch):
    monkeypatch.setattr(cloud_filesystem, "CLIENT_RETRY", {"max_retries": 0})


@pytest.mark.usefixtures("_no_second_try")
def test_a_store_that_is_away_is_unavailable_and_no_secret_is_told(
    bucket, unused_port, settings_factory, tmp_path
):
    fields = bucket.settings() | {"artifact_endpoint": f"http://127.0.0.1:{unused_port}"}
    store = open_artifacts(settings_factory(**fields)).written
    (tmp_path / "file").write_bytes(b"1")
    calls = [
        lambda: store.size_bytes("a"),
        lambda: store.open("a"),
        lambda: store.names("a"),
        lambda: store.put_file(tmp_path / "file", "a"),
        lambda: store.remove_file("a"),
        lambda: store.remove_folder("a"),
    ]
    for call in calls:
        with pytest.raises(DriftgateError) as refusal:
            call()
        assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE
        assert "\n" not in refusal.value.message
        assert "s3cr3t" not in refusal.value.message


@pytest.mark.usefixtures("_no_second_try")
def test_a_bucket_that_is_not_there_does_not_take_a_file(bucket, settings_factory, tmp_path):
    fields = bucket.settings() | {"artifact_url": "s3://not-there/run"}
    store = open_artifacts(settings_factory(**fields)).written
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(DriftgateError, match="was not written") as refusal:
        store.put_file(tmp_path / "file", "a")
    assert refusal.value.code is ErrorCode.ARTIFACTS_UNAVAILABLE


def test_a_secret_in_a_reason_is_hidden_and_a_reason_is_one_line():
    error = unavailable("It failed", ValueError("key abc of ab\nmore"), secrets=["ab", "abc"])
    assert error.message == "It failed: key [secret] of [secret]."


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"artifact_url": "nothing://x/y"}, "nothing"),
        ({"artifact_url": "/a/folder"}, "no such URL"),
        ({"artifact_url": "ftp://user:pass@host/x"}, "no such URL"),
        ({"artifact_url": "s3://bucket"}, "url"),
        ({"artifact_url": "s3://b1234/run", "artifact_endpoint": "ftp://x"}, "endpoint"),
        ({"artifact_url": "gs://b1234/run", "artifact_region": "eu"}, "region"),
        ({"artifact_url": "s3://b1234/run", "artifact_credentials": ("a",)}, "FIELD=NAME"),
        (
            {"artifact_url": "s3://b1234/run", "artifact_credentials": ("a=B",)},
            "a (allowed: no such field)",
        ),
        (
            {"artifact_url": "s3://b1234/run", "artifact_credentials": ("access_key_id=b",)},
            "(allowed: the name of a secret, not the secret",
        ),
    ],
)
def test_settings_that_name_no_store_are_refused_saying_what_is_allowed(
    settings_factory, fields, told
):
    with pytest.raises(DriftgateError) as refusal:
        open_artifacts(settings_factory(**fields))
    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT
    assert told in refusal.value.message
    assert "s3://BUCKET/PREFIX" in refusal.value.message


def test_a_key_that_is_no_base64_is_refused_without_being_told(settings_factory, monkeypatch):
    monkeypatch.setenv("DRIFTGATE_SECRET_GOOGLE", "no-base64!")
    settings = settings_factory(
        artifact_url="gs://b1234/run", artifact_credentials=("service_account_key=GOOGLE",)
    )
    with pytest.raises(DriftgateError, match="base64") as refusal:
        open_artifacts(settings)
    assert "no-base64!" not in str(refusal.value)


def test_a_secret_that_is_not_there_is_named(settings_factory, bucket, monkeypatch):
    monkeypatch.delenv("DRIFTGATE_SECRET_S3_KEY")
    with pytest.raises(DriftgateError, match="S3_KEY") as refusal:
        open_artifacts(settings_factory(**bucket.settings()))
    assert refusal.value.code is ErrorCode.SECRET_NOT_FOUND


def test_what_was_written_before_the_store_moved_is_found_where_it_is(settings_factory):
    before = open_artifacts(settings_factory())
    after = open_artifacts(settings_factory(artifact_url="memory://moved/run"))

    old, new = before.written.uri("jobs/a"), after.written.uri("jobs/a")

    assert after.holding(old) == (before.written, "jobs/a")
    assert after.holding(new) == (after.written, "jobs/a")
    assert before.holding(new) is None


def test_a_folder_never_follows_a_link(tmp_path):
    (tmp_path / "secret").write_text("1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    store = LocalFolder(root)
    for key in ("file", "folder/secret"):
        with pytest.raises(OSError, match=r"regular|symbolic"):
            store.open(key)
        with pytest.raises(OSError, match="regular"):
            store.size_bytes(key)
    assert not store.has_folder("folder")
    store.remove_folder("folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "secret"]
