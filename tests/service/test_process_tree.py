import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.process_tree import Member, ProcessTree
from tests.processes import is_alive

# Says when it starts and, by SIGTERM, when it stops.
TALKS = """
import pathlib, signal, sys, time
journal = pathlib.Path(sys.argv[1])
def note(what):
    with journal.open("a") as file:
        file.write(f"{sys.argv[2]} {what}\\n")
def stop(*_):
    note("stops")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("starts")
time.sleep(600)
"""
IGNORES_SIGTERM = TALKS.replace('note("stops")\n    sys.exit(0)', "pass").replace(
    "time.sleep(600)", "while True: time.sleep(600)"
)


class Journal:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal"

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def member(self, name: str, program: str = TALKS, *, stop_grace_s: float = 20.0) -> Member:
        command = (sys.executable, "-c", program, str(self.path), name)
        log_path = self.folder / "logs" / f"{name}.log"
        return Member(name, command, stop_grace_s=stop_grace_s, log_path=log_path)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def tree() -> Iterator[ProcessTree]:
    tree = ProcessTree(environment={})
    yield tree
    tree.kill()


def test_members_stop_in_the_reverse_of_the_order_in_which_they_started(
    tree: ProcessTree, journal: Journal, wait_until
) -> None:
    tree.start(journal.member("broker"))
    wait_until(lambda: journal.lines() == ["broker starts"])
    tree.start(journal.member("worker"))
    wait_until(lambda: journal.lines() == ["broker starts", "worker starts"])

    tree.stop()

    assert journal.lines()[2:] == ["worker stops", "broker stops"]


def test_a_member_that_outstays_its_grace_is_killed(
    tree: ProcessTree, journal: Journal, wait_until
) -> None:
    tree.start(journal.member("deaf", IGNORES_SIGTERM, stop_grace_s=0.2))
    wait_until(lambda: journal.lines() == ["deaf starts"])

    tree.stop()

    assert journal.lines() == ["deaf starts"]


def test_a_member_that_dies_is_reported_and_starts_again_later_each_time(
    tree: ProcessTree, journal: Journal, wait_until
) -> None:
    tree.start(journal.member("fickle", "import sys; sys.exit(3)"))
    deaths = []

    def three_deaths() -> bool:
        deaths.extend(tree.restart_the_dead())
        return len(deaths) == 3

    wait_until(three_deaths)

    assert [death.exit_status for death in deaths] == [3, 3, 3]
    assert [death.restart_in_s for death in deaths] == [0.5, 1.0, 2.0]


PARENT = """
import os, sys, time
from pathlib import Path
from service.process_tree import Member, ProcessTree
tree = ProcessTree(environment={})
command = (sys.executable, "-c", sys.argv[1], sys.argv[2], "orphan")
tree.start(Member("orphan", command, stop_grace_s=1, log_path=Path(sys.argv[2] + ".log")))
time.sleep(600)
"""


def test_no_member_outlives_a_killed_parent(journal: Journal, wait_until) -> None:
    announces_itself = TALKS.replace('note("starts")', "note(__import__('os').getpid())")
    command = [sys.executable, "-c", PARENT, announces_itself, str(journal.path)]
    with subprocess.Popen(command) as parent:
        wait_until(journal.lines)
        member_pid = int(journal.lines()[0].removeprefix("orphan "))

        os.kill(parent.pid, signal.SIGKILL)

    wait_until(lambda: not is_alive(member_pid))
