"""Checkpoint folders with folders inside: described and checked to the last file."""

from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from tests.worker.training.proved_checkpoints import prove
from worker.training.checkpoints import write_checkpoint


def save(folder: Path) -> None:
    (folder / "weights").write_text("twelve bytes")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "config").write_text("seven..")


def test_files_in_inner_folders_are_counted_and_checked(tmp_path: Path) -> None:
    folder = tmp_path / "step-3"
    record = write_checkpoint(save, folder=folder, step=3, update=6, final=True)
    manifest_bytes = (folder / "manifest.json").stat().st_size
    assert record.size_bytes == 12 + 7 + manifest_bytes
    prove(record)
    (folder / "adapter" / "config").write_text("SEVEN..")
    with pytest.raises(DriftgateError, match="adapter/config") as refusal:
        prove(record)
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
