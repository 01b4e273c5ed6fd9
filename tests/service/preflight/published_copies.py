"""Copies of the published problem sets, whose texts the project does not ship."""

import json
import os
from pathlib import Path

import pytest

# Read here, because tests see nothing of the environment's settings.
BENCHMARKS_DIR = os.environ.get("DRIFTGATE_BENCHMARKS_DIR")

needs_copies = pytest.mark.skipif(
    not BENCHMARKS_DIR, reason="DRIFTGATE_BENCHMARKS_DIR names no folder of published problem sets"
)


def folder_of_copies() -> Path:
    assert BENCHMARKS_DIR is not None
    return Path(BENCHMARKS_DIR)


def rows_of(file_name: str) -> list[dict]:
    with (folder_of_copies() / file_name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_rows(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
