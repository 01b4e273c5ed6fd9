import io
import re

from rich.console import Console

from service.demo.figures import demo_figures
from service.demo.tables import demo_tables
from tests.service.demo.answers import finished_demo


def rendered():
    console = Console(file=io.StringIO(), width=132)
    console.print(demo_tables(demo_figures(finished_demo(), seed=7)))
    return console.file.getvalue()


def cells(line):
    return [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]


def test_every_job_shows_its_estimates_with_intervals_and_marks_what_excludes_zero():
    rows = [cells(line) for line in rendered().splitlines()]
    before_and_after = ["0.100 [0.000, 1.000]"] * 2
    (row,) = (row for row in rows if row[:2] == ["sampled token, block gate", "pass@1"])
    assert row[2:4] == before_and_after
    assert re.fullmatch(r"\+0\.500 \[\+0\.[34]\d\d, \+0\.5\d\d\] \*", row[4])


def test_pairs_gates_and_costs_have_their_rows():
    rows = [cells(line) for line in rendered().splitlines()]
    pair = "teacher top-K, block gate − teacher top-K"
    (row,) = (row for row in rows if row[:1] == [pair])
    assert re.fullmatch(r"\+0\.375 \[\+0\.[23]\d\d, \+0\.[45]\d\d\] \*", row[1])
    assert re.fullmatch(r"[+-]0\.000 \[-0\.[01]\d\d, \+0\.[01]\d\d\]", row[2]), "no star"
    gate = ["teacher top-K", "0.1000", "0.2000", "0.5000", "1.5000", "0.0625", "0.5000"]
    assert gate in rows
    costs = ["300 tok  3.0 s", "300 tok  0.8 s", "600 tok  2.0 s", "2,000 tok  5.0 s", "61.5 s"]
    assert ["teacher top-K", *costs] in rows


def test_the_tables_say_what_their_intervals_leave_out():
    assert "training-seed variance not included" in rendered()
    assert "bootstrap over problems" in rendered()
