"""The GPU's measuring script, run at a tiny shape on the CPU: every part, its checks and its report."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.shapes import SHAPES


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    path = tmp_path_factory.mktemp("bench") / "gpu.json"
    arguments = ["--shape", "tiny", "--device", "cpu", "--repeats", "1", "--output", str(path)]
    main(arguments)
    rows = json.loads(path.read_text())["rows"]
    assert all(row.keys() == {"name", "value", "unit", "target", "holds"} for row in rows)
    return {row["name"]: row for row in rows}


def test_every_part_is_measured(report: dict[str, dict]) -> None:
    for name in (
        "machine.peak",
        "head.tiny.sampled.time_vs_products",
        "head.tiny.sampled.time_vs_naive",
        "update.tiny.mfu",
        "update.tiny.rate",
        "update.tiny.checkpointed.mfu",
        "update.tiny.padded.mfu",
        "update.tiny.naive.rate",
        "scoring.tiny.sampled.rate",
        "scoring.tiny.topk.mfu",
        "rollout.tiny.rate",
    ):
        assert report[name]["value"] > 0, name
    assert report["rollout.tiny.same_seeds_give"]["value"] == "the same tokens"
    assert report["head.tiny.liger"]["value"] == "Liger's kernels need a GPU"


def test_every_part_agrees_with_float64(report: dict[str, dict]) -> None:
    errors = {name: row for name, row in report.items() if row["unit"] == "relative"}
    assert errors.keys() == {
        "head.tiny.sampled.gradient_error",
        "update.tiny.gradient_error",
        "scoring.tiny.log_prob_error",
    }
    # float32 keeps seven digits; it may not be float64 itself, or nothing was compared.
    assert all(0 < row["value"] < 1e-5 and row["holds"] for row in errors.values())


def test_bfloat16_is_held_to_its_own_bound(tmp_path: Path) -> None:
    arguments = ["--shape", "tiny", "--device", "cpu", "--dtype", "bfloat16", "--repeats", "1"]
    rows = main([*arguments, "--only", "head", "--output", str(tmp_path / "gpu.json")])
    (error,) = (row for row in rows if row.unit == "relative")
    assert 1e-4 < error.value <= error.target == 0.05


@pytest.mark.parametrize(("name", "billions"), [("0.6b", 0.596), ("1.7b", 1.721)])
def test_the_shapes_are_those_of_the_published_models(name: str, billions: float) -> None:
    # The hub gives 0.6B and 1.7B parameters; a tied embedding of 151,936 rows counts once.
    hidden, width = (int(SHAPES[name].config[key]) for key in ("hidden_size", "intermediate_size"))
    layer = hidden * 128 * (2 * 16 + 2 * 8) + 3 * hidden * width + 2 * hidden + 2 * 128
    assert (28 * layer + 151_936 * hidden + hidden) / 1e9 == pytest.approx(billions, abs=1e-3)
