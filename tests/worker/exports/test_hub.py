import json
import threading

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.export_spec import HubDestination
from tests.saved_checkpoints import FILES, LOADABLE
from tests.worker.exports.sources import Reports, a_source
from tests.worker.exports.writable_hub import WritableHub
from worker.attempt_end import StopRequestedError
from worker.exports import tries
from worker.exports.hub import push_to_hub

TOKEN = "hf_s3cr3tOfTheWorker"
DESTINATION = HubDestination(repo_id="team/student", token={"secret": "HUB_TOKEN"})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(tries, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def hub():
    server = WritableHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def push(source, hub, destination=DESTINATION):
    push_to_hub(source, destination, token=TOKEN, endpoint=hub.url, card="# A student")


def test_one_commit_to_a_private_repository_has_the_model_the_manifest_and_the_card(tmp_path, hub):
    reports = Reports()
    push(a_source(tmp_path, reports=reports), hub)

    assert hub.private == {"team/student": True}
    ((branch, files),) = hub.commits
    manifest = json.loads(files.pop("manifest.json"))
    assert (branch, sorted(manifest["files"])) == ("main", LOADABLE)
    assert files == {name: FILES[name] for name in LOADABLE} | {"README.md": b"# A student"}
    assert hub.authorizations == {f"Bearer {TOKEN}"}
    assert reports == ["Copied 3 of 3 files, 4.1 kB, in one commit."]


def test_a_branch_is_made_a_readme_is_kept_and_weights_of_an_earlier_model_go(tmp_path, hub):
    hub.private["team/student"] = False
    hub.files |= {"README.md": b"mine", "model-00001-of-00002.safetensors": b"", "notes.txt": b""}
    public = DESTINATION.model_copy(update={"private": False, "revision": "second"})

    push(a_source(tmp_path, reports=Reports()), hub, public)

    ((branch, files),) = hub.commits
    assert (branch, hub.branches) == ("second", {"main", "second"})
    assert "README.md" not in files
    assert [name for name, text in files.items() if text is None] == [
        "model-00001-of-00002.safetensors"
    ]


def test_a_public_repository_is_refused_where_the_export_is_private(tmp_path, hub):
    hub.private["team/student"] = False
    with pytest.raises(DriftgateError, match="is public") as refusal:
        push(a_source(tmp_path, reports=Reports()), hub)
    assert (refusal.value.code, hub.commits) == (ErrorCode.EXPORT_FAILED, [])


def test_a_hub_that_is_away_for_a_while_is_asked_again(tmp_path, hub):
    hub.failures = [503, 500]
    push(a_source(tmp_path, reports=Reports()), hub)
    assert len(hub.commits) == 1


def test_a_token_that_may_not_write_fails_at_once_and_is_not_shown(tmp_path, hub, caplog):
    hub.failures = [403, 403]
    with pytest.raises(DriftgateError, match="did not take the checkpoint") as refusal:
        push(a_source(tmp_path, reports=Reports()), hub)
    assert (refusal.value.code, hub.failures) == (ErrorCode.EXPORT_FAILED, [403])
    assert TOKEN not in refusal.value.message + caplog.text


def test_a_source_that_changed_or_a_stop_keeps_everything_here(tmp_path, hub):
    source = a_source(tmp_path, reports=Reports())
    source.stop.set()
    with pytest.raises(StopRequestedError):
        push(source, hub)
    source.stop.clear()
    (source.folder.local_path() / "config.json").write_bytes(b'{"model_type": "tidy"}')
    with pytest.raises(DriftgateError) as refusal:
        push(source, hub)
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert (hub.private, hub.commits) == ({}, [])
