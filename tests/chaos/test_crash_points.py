"""A process that ends at any point of any step leaves nothing that the others cannot mend."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# Where commits need no disk: what is killed here is a process and not the machine.
MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="dg-sweep-", dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture
def start_sweep() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    with ExitStack() as sweeps:

        def start(kind: str, *arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-P", "-m", "tests.chaos.sweep", kind, *arguments]
            sweep = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            sweeps.enter_context(sweep)
            sweeps.callback(sweep.kill)
            return sweep

        yield start


@pytest.mark.timeout(900)
def test_a_process_may_end_at_every_point_of_every_step(
    start_sweep: Callable[..., subprocess.Popen[str]],
    folder: Path,
    sqlite_template: Path,
    postgres_url: str,
    redis_url: str,
) -> None:
    (folder / "driftgate.db").write_bytes(sqlite_template.read_bytes())
    sqlite_url = f"sqlite:///{folder / 'driftgate.db'}"
    # Two at once, for two cores. Files are the same on either database.
    sweeps = {
        "sqlite": start_sweep("all", sqlite_url, redis_url, str(folder / "one")),
        "postgres": start_sweep("database", postgres_url, redis_url, str(folder / "two")),
    }

    for name, process in sweeps.items():
        said, errors = process.communicate()
        assert process.returncode == 0, f"{name}: {errors[-4000:]}"
        found = json.loads(said)
        assert found["violations"] == [], name
        num_points = {step["step"]: step["points"] for step in found["steps"]}
        # New code makes these numbers grow.
        assert min(num_points.values()) >= 3, num_points
        assert num_points["checkpoint"] >= 30, num_points
