import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.grade_file import main

ROWS = [
    {"id": "first", "gold": "42", "prediction": r"so \boxed{42}"},
    {"gold": "(x+1)^2", "prediction": "x^2+2x+1", "form": "short"},
    {"id": "mined", "gold": "42", "prediction": "It is 42", "form": "mined"},
    {"id": "last", "gold": "42", "prediction": r"\boxed{43}", "form": "response"},
]


def driftgate_grade(*arguments):
    command = [Path(sys.executable).with_name("driftgate"), "grade", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_every_row_has_its_line_and_the_last_line_sums_up(write, options):
    result = driftgate_grade(write(*map(json.dumps, ROWS), ""), *options)
    assert (result.returncode, result.stderr) == (0, "")
    *lines, last = map(json.loads, result.stdout.splitlines())
    assert [set(line) for line in lines] == [{"id", "verdict", "layer", "extracted", "ms"}] * 4
    assert [list(line.values())[:4] for line in lines] == [
        ["first", "right", "integer", "42"],
        [2, "right", "symbolic", "x^2+2x+1"],
        ["mined", "no_answer", "extraction", None],
        ["last", "wrong", "integer", "43"],
    ]
    summary = last["summary"]
    assert summary["rows"] == 4
    assert summary["verdicts"] == {"right": 2, "wrong": 1, "no_answer": 1, "grader_timeout": 0}
    assert summary["layers"]["integer"] == 2
    assert summary["seconds"] > 0


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("{", "line 2 is not JSON"),
        ("[" * 100_000, "line 2 is not JSON"),
        ('"gold"', "line 2 is str, but a row is an object"),
        ('{"prediction": "1"}', "line 2: `gold` is missing"),
        ('{"gold": " ", "prediction": "1"}', "line 2: `gold` is empty"),
        ('{"gold": "1"}', "line 2: `prediction` is missing"),
        ('{"gold": 1, "prediction": "1"}', "line 2: `gold` is int"),
        (
            '{"gold": "1", "prediction": "1", "form": "essay"}',
            "line 2: `form` is 'essay'; allowed: response, short, mined",
        ),
        ('{"gold": "1", "prediction": "1", "id": []}', "line 2: `id` is list"),
    ],
)
def test_a_bad_row_is_refused_by_its_line_before_anything_is_graded(write, capsys, line, refusal):
    assert main([str(write(json.dumps(ROWS[0]), line))]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert refusal in written.err


def test_a_file_that_is_not_there_is_refused(tmp_path, capsys):
    assert main([str(tmp_path / "none.jsonl")]) == 2
    assert "cannot be read" in capsys.readouterr().err
