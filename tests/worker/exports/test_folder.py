import json

import pytest

from service.errors import DriftgateError, ErrorCode
from tests.saved_checkpoints import FILES, LOADABLE, truncate
from tests.worker.exports.sources import Reports, a_source, sha256
from worker.attempt_end import StopRequestedError
from worker.exports.folder import copy_to_folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "exports" / "students" / "first"


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_models_files_are_copied_and_the_manifest_lists_them(tmp_path, target):
    reports = Reports()
    copy_to_folder(a_source(tmp_path, reports=reports), target, job_id="a")

    copied = files_below(target)
    manifest = json.loads(copied.pop("manifest.json"))
    assert copied == {name: FILES[name] for name in LOADABLE}
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: sha256(FILES[name]) for name in LOADABLE
    }
    assert (manifest["step"], manifest["update"]) == (4, 8)
    # 2 + 22 + 4,096 bytes.
    assert reports == [
        "Copied 1 of 3 files, 2 B of 4.1 kB.",
        "Copied 2 of 3 files, 24 B of 4.1 kB.",
        "Copied 3 of 3 files, 4.1 kB of 4.1 kB.",
    ]
    assert [path.name for path in target.parent.iterdir()] == ["first"]


def test_a_stopped_copy_leaves_no_folder_and_the_next_attempt_makes_it_whole(tmp_path, target):
    reports = Reports(stop_after=1)
    with pytest.raises(StopRequestedError):
        copy_to_folder(a_source(tmp_path, reports=reports), target, job_id="a")
    assert not target.exists()

    copy_to_folder(a_source(tmp_path, reports=Reports()), target, job_id="a")
    assert set(files_below(target)) == {*LOADABLE, "manifest.json"}
    assert [path.name for path in target.parent.iterdir()] == ["first"]


def test_a_copy_that_was_finished_is_left_as_it_is(tmp_path, target):
    copy_to_folder(a_source(tmp_path, reports=Reports()), target, job_id="a")
    before = (target / "config.json").stat()
    reports = Reports()

    copy_to_folder(a_source(tmp_path, reports=reports), target, job_id="a")

    assert reports == []
    assert (target / "config.json").stat().st_ino == before.st_ino


def test_an_empty_folder_is_taken_and_any_other_is_not(tmp_path, target):
    target.mkdir(parents=True)
    copy_to_folder(a_source(tmp_path, reports=Reports()), target, job_id="a")
    with pytest.raises(DriftgateError, match="does not hold this checkpoint") as refusal:
        copy_to_folder(a_source(tmp_path, reports=Reports(), step=6), target, job_id="b")
    assert refusal.value.code is ErrorCode.EXPORT_FAILED
    assert json.loads((target / "manifest.json").read_text())["step"] == 4


def test_a_copy_whose_files_were_cut_since_is_no_finished_one(tmp_path, target):
    copy_to_folder(a_source(tmp_path, reports=Reports()), target, job_id="a")
    truncate(target / "model.safetensors")
    with pytest.raises(DriftgateError) as refusal:
        copy_to_folder(a_source(tmp_path, reports=Reports()), target, job_id="a")
    assert refusal.value.code is ErrorCode.EXPORT_FAILED


def test_a_source_that_changed_is_corrupt_and_nothing_is_at_the_destination(tmp_path, target):
    source = a_source(tmp_path, reports=Reports())
    (source.folder.local_path() / "config.json").write_bytes(b'{"model_type": "tidy"}')
    with pytest.raises(DriftgateError, match=r"config\.json") as refusal:
        copy_to_folder(source, target, job_id="a")
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    assert not target.exists()


def test_a_place_that_cannot_be_written_fails_with_the_reason(tmp_path, target):
    target.parent.parent.mkdir()
    target.parent.write_text("a file in the way")
    with pytest.raises(DriftgateError, match="did not take the checkpoint") as refusal:
        copy_to_folder(a_source(tmp_path, reports=Reports()), target, job_id="a")
    assert refusal.value.code is ErrorCode.EXPORT_FAILED
