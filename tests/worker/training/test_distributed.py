"""Two ranks train as one process does: same weights, losses, metrics and drift maps, and each goes on from the other.

One launch of torchrun does what takes two processes; see `rank_runs`. In float64 the two differ by rounding alone, which
a few updates of AdamW amplify: its step divides by the root of the squared gradient, however small that is.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from service.jobs.catalog import Metric
from tests.worker.training.rank_runs import (
    CASES,
    CUT_AFTER,
    CUT_CASE,
    make_trainer,
    measure,
    spec_of,
    train,
)

RELATIVE, ABSOLUTE = 1e-7, 1e-9
TIMED = ("seconds", "per_second", "mfu", "peak_memory")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of every case."""
    folder = tmp_path_factory.mktemp("one")
    for case in CASES:
        records = train(make_trainer(case), folder / case)
        text = json.dumps([asdict(each) for each in records], default=bytes.hex)
        (folder / f"{case}.json").write_text(text)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks make of them, and of a checkpoint of one process."""
    folder = tmp_path_factory.mktemp("two")
    half = make_trainer(CUT_CASE)
    train(half, folder / "cut by one", stop_after=CUT_AFTER)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launch += ["--local-addr=127.0.0.1", f"--log-dir={folder / 'torchrun'}"]
    done = subprocess.run(
        [*launch, "-m", "tests.worker.training.rank_runs", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_train_as_one_process_does(case: str, one: Path, two: Path) -> None:
    expected, found = (json.loads((folder / f"{case}.json").read_text()) for folder in (one, two))

    assert len(found) == len(expected) == spec_of(case).num_updates
    for mine, theirs in zip(found, expected, strict=True):
        assert differences(mine["metrics"], theirs["metrics"]) == {}
        assert len(mine["drift_by_block"]) == len(theirs["drift_by_block"])
        for row, other in zip(mine["drift_by_block"], theirs["drift_by_block"], strict=True):
            assert differences(row, other) == {}
        assert_same_token_drift(mine["token_drift"], theirs["token_drift"])
    assert_same_checkpoint(two / case, one / case)


def test_the_cases_do_what_they_are_there_for(one: Path) -> None:
    records = {case: json.loads((one / f"{case}.json").read_text()) for case in CASES}

    assert records["a gate that closes"][-1]["metrics"][Metric.GATE_SCOPES_CLOSED] == 1
    for case in ("published block gate", "adaptive token gate", "shuffled blocks"):
        assert records[case][-1]["metrics"][Metric.GATE_STD] > 0.01


def test_two_ranks_measure_the_distance_to_the_teacher_as_one_process_does(
    two: Path, tmp_path: Path
) -> None:
    measure(tmp_path)

    found, expected = (
        json.loads((folder / "reverse KL.json").read_text()) for folder in (two, tmp_path)
    )
    (nats, lengths), (expected_nats, expected_lengths) = (
        zip(*each, strict=True) for each in (found, expected)
    )
    assert lengths == expected_lengths
    assert len(lengths) == 5
    assert nats == pytest.approx(expected_nats, rel=RELATIVE)
    assert min(nats) > 0.01


def test_one_process_goes_on_from_where_two_ranks_stopped_in_a_step(
    one: Path, two: Path, tmp_path: Path
) -> None:
    trainer = make_trainer(CUT_CASE)
    trainer.restore(two / "cut by two")
    assert trainer.update == CUT_AFTER

    train(trainer, tmp_path / "end")

    assert_same_checkpoint(tmp_path / "end", one / CUT_CASE)


def test_two_ranks_go_on_from_where_one_process_stopped_in_a_step(one: Path, two: Path) -> None:
    assert_same_checkpoint(two / "gone on by two", one / CUT_CASE)


def differences(found: dict, expected: dict) -> dict[str, tuple]:
    """By name what differs by more than rounding, but for how long things took."""
    names = {name for name in found.keys() | expected.keys() if not name.endswith(TIMED)}
    return {
        name: (found.get(name), expected.get(name))
        for name in names
        if found.get(name) != pytest.approx(expected.get(name), rel=RELATIVE, abs=ABSOLUTE)
    }


def assert_same_token_drift(found: dict, expected: dict) -> None:
    """Of the same tokens, and of all of them; numbers to a step of float16."""
    for name in ("drift_nats", "abs_losses"):
        mine, theirs = (
            np.frombuffer(bytes.fromhex(each.pop(name)), dtype="<f2") for each in (found, expected)
        )
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=1e-6)
    assert found == expected
    assert found["num_responses_left_out"] == 0


def assert_same_checkpoint(found: Path, expected: Path) -> None:
    """Byte for byte, but for the numbers in tensors."""
    names = {path.name for path in expected.iterdir()}
    assert {path.name for path in found.iterdir()} == names
    for name in names:
        if not name.endswith(".safetensors"):
            assert (found / name).read_bytes() == (expected / name).read_bytes()
            continue
        saved, wanted = load_file(found / name), load_file(expected / name)
        assert saved.keys() == wanted.keys()
        for key, tensor in wanted.items():
            torch.testing.assert_close(
                saved[key], tensor, rtol=1e-6, atol=1e-9, msg=f"{name} {key}"
            )
