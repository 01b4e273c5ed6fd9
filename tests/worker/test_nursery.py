"""Children that a nursery forks, and what becomes of them when the processes around them are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import is_alive, parent_of, pids_of
from tests.worker.scripted_child import SLEEPS, read_pid
from worker import nursery_keeper
from worker.attempt_process import AttemptProcess, NeverStartedError
from worker.nursery_keeper import NurseryKeeper

CHECKOUT = str(Path(__file__).parents[2])
ENVIRONMENT = {"PYTHONPATH": CHECKOUT, "OMP_NUM_THREADS": "1"}
# In a session of its own, as torchrun starts its ranks.
STARTS_A_DETACHED_GRANDCHILD = """
code = "import subprocess, time; p = subprocess.Popen(['sleep', '600'], start_new_session=True); print(p.pid, flush=True); time.sleep(600)"
grandchild = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
announce('great-grandchild.pid', int(grandchild.stdout.readline()))
announce('grandchild.pid', grandchild.pid)
"""
FAMILY = ("child.pid", "grandchild.pid", "great-grandchild.pid")


def new_keeper() -> NurseryKeeper:
    modules = ["tests.worker.nursery_child", "numpy.random"]
    keeper = NurseryKeeper(environment=ENVIRONMENT, modules=modules)
    keeper.start()
    while keeper.pid is None:
        time.sleep(0.01)
    return keeper


class Nest:
    """A nursery and the folder of an attempt."""

    def __init__(self, folder: Path, keeper: NurseryKeeper) -> None:
        self.folder = folder
        self.keeper = keeper

    def begin(self, program: str) -> AttemptProcess:
        (self.folder / "program.py").write_text(program)
        child = self.keeper.start_attempt([str(self.folder)], log_path=self.folder / "log.txt")
        assert child is not None
        return child

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def pid(self, name: str = "child.pid") -> int:
        return read_pid(self.folder / name)


@pytest.fixture(scope="module")
def keeper() -> Iterator[NurseryKeeper]:
    keeper = new_keeper()
    yield keeper
    keeper.close()


@pytest.fixture
def nest(tmp_path: Path, keeper: NurseryKeeper) -> Nest:
    return Nest(tmp_path, keeper)


@pytest.fixture
def mortal_nest(tmp_path: Path) -> Iterator[Nest]:
    """With a nursery of its own, to be killed."""
    keeper = new_keeper()
    yield Nest(tmp_path, keeper)
    keeper.close()


def ends(child: AttemptProcess) -> int | None:
    return child.wait(timeout_s=30)


def until_started(child: AttemptProcess) -> None:
    while child.pid is None:
        assert child.wait(timeout_s=30) is None


def test_a_forked_child_runs_its_program_and_its_status_and_its_output_come_back(
    nest: Nest,
) -> None:
    child = nest.begin("print('here'); print('there', file=sys.stderr); sys.exit(3)")

    until_started(child)

    assert ends(child) == 3
    assert sorted(nest.log().split()) == ["here", "there"]


def test_a_forked_child_is_alone_in_its_session_with_fresh_signals_and_no_inherited_files(
    nest: Nest,
) -> None:
    child = nest.begin(
        "print(os.getsid(0) == os.getpgrp() == os.getpid(), os.environ['OMP_NUM_THREADS'])\n"
        "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        "print(sorted(int(name) for name in os.listdir('/proc/self/fd')))\n"
        "print(os.readlink('/proc/self/fd/0'), len(os.listdir('/proc/self/task')))\n"
    )

    assert ends_well(child)

    session, signals, files, rest = nest.log().splitlines()
    assert (session, signals, rest) == ("True 1", "True set()", "/dev/null 1")
    # The fourth is that of the listing itself.
    assert files == "[0, 1, 2, 3]"


def ends_well(child: AttemptProcess) -> bool:
    until_started(child)
    return ends(child) == 0


def test_two_children_do_not_draw_the_same_random_numbers(nest: Nest) -> None:
    draws = "import random, numpy; print(random.random(), numpy.random.rand())"

    assert ends_well(nest.begin(draws))
    assert ends_well(nest.begin(draws))

    first, second = nest.log().splitlines()
    assert not set(first.split()) & set(second.split())


def test_ps_shows_a_forked_childs_own_command(nest: Nest, wait_until) -> None:
    child = nest.begin(SLEEPS)

    wait_until(lambda: pids_of("tests.worker.nursery_child", str(nest.folder)))
    wait_until((nest.folder / "child.pid").exists)

    assert pids_of("tests.worker.nursery_child", str(nest.folder)) == [nest.pid()]
    child.kill()


def test_children_run_side_by_side_and_one_is_asked_to_stop(nest: Nest, wait_until) -> None:
    first = nest.begin("signal.signal(signal.SIGTERM, lambda *_: sys.exit(75));" + SLEEPS)
    wait_until((nest.folder / "child.pid").exists)
    second = nest.begin("time.sleep(0.2)")

    first.ask_to_stop()

    until_started(first)
    assert ends(first) == 75
    assert ends_well(second)


@pytest.mark.parametrize("_attempt", range(8))
def test_a_child_that_is_asked_to_stop_before_it_starts_stops(nest: Nest, _attempt: int) -> None:
    os.kill(nest.keeper.pid, signal.SIGSTOP)
    child = nest.begin(SLEEPS)
    child.ask_to_stop()
    os.kill(nest.keeper.pid, signal.SIGCONT)

    assert ends(child) is None, "it has started"
    assert ends(child) == -signal.SIGTERM


def test_a_child_that_is_killed_before_it_starts_never_does(nest: Nest) -> None:
    os.kill(nest.keeper.pid, signal.SIGSTOP)
    child = nest.begin("announce('child.pid', os.getpid())")

    assert child.kill() is None
    os.kill(nest.keeper.pid, signal.SIGCONT)

    assert ends_well(nest.begin("print('next')"))
    assert not (nest.folder / "child.pid").exists()


@pytest.mark.parametrize("killed", ["child", "guard"])
def test_nothing_of_an_attempt_outlives_its_child_or_its_guard(
    nest: Nest, wait_until, killed: str
) -> None:
    child = nest.begin(STARTS_A_DETACHED_GRANDCHILD + SLEEPS)
    wait_until((nest.folder / "child.pid").exists)
    pids = [nest.pid(name) for name in FAMILY]
    guard_pid = parent_of(nest.pid())
    assert all(map(is_alive, pids))

    os.kill(nest.pid() if killed == "child" else guard_pid, signal.SIGKILL)

    until_started(child)
    assert ends(child) == -signal.SIGKILL
    assert child.guard_was_lost == (killed == "guard")
    wait_until(lambda: not any(map(is_alive, [*pids, guard_pid])))


def test_a_child_lives_on_without_its_nursery_and_nothing_of_it_outlives_its_end(
    mortal_nest: Nest, wait_until
) -> None:
    child = mortal_nest.begin(STARTS_A_DETACHED_GRANDCHILD + SLEEPS)
    wait_until((mortal_nest.folder / "child.pid").exists)
    pids = [mortal_nest.pid(name) for name in FAMILY]
    pids.append(parent_of(mortal_nest.pid()))
    nursery_pid = mortal_nest.keeper.pid
    os.kill(nursery_pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(nursery_pid))
    until_started(child)
    assert all(map(is_alive, pids))

    assert child.kill() == -signal.SIGKILL

    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_request_that_a_dying_nursery_did_not_take_is_told_so_and_a_new_one_serves(
    mortal_nest: Nest, wait_until
) -> None:
    first_pid = mortal_nest.keeper.pid
    os.kill(first_pid, signal.SIGSTOP)
    child = mortal_nest.begin("")
    os.kill(first_pid, signal.SIGKILL)

    with pytest.raises(NeverStartedError):
        ends(child)

    wait_until(lambda: mortal_nest.keeper.pid not in (None, first_pid))
    assert ends_well(mortal_nest.begin(""))


def test_without_a_nursery_there_is_no_child(tmp_path: Path) -> None:
    keeper = NurseryKeeper(environment={})  # never started

    assert keeper.start_attempt([], log_path=tmp_path / "log.txt") is None


SUPERVISING_PROGRAM = """
import sys, time
from pathlib import Path
from tests.worker.test_nursery import Nest, new_keeper
nest = Nest(Path(sys.argv[1]), new_keeper())
child = nest.begin((nest.folder / "program.py").read_text())
(nest.folder / "nursery.pid").write_text(str(nest.keeper.pid))
time.sleep(600)
"""


def test_nothing_outlives_a_killed_supervising_process(tmp_path: Path, wait_until) -> None:
    (tmp_path / "program.py").write_text(STARTS_A_DETACHED_GRANDCHILD + SLEEPS)
    command = [sys.executable, "-c", SUPERVISING_PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": CHECKOUT}) as supervising:
        wait_until((tmp_path / "child.pid").exists)
        family = [read_pid(tmp_path / name) for name in (*FAMILY, "nursery.pid")]
        family.append(parent_of(family[0]))
        assert all(map(is_alive, family))

        os.kill(supervising.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(is_alive, family)))


def test_a_nursery_that_cannot_start_is_given_up(monkeypatch, wait_until, caplog) -> None:
    monkeypatch.setattr(nursery_keeper, "BACKOFF_S", 0.01)
    keeper = NurseryKeeper(environment=ENVIRONMENT, modules=["there.is.no.such.module"])

    keeper.start()

    wait_until(lambda: "the nursery is given up" in caplog.text)
    assert caplog.text.count("jobs start slower") == nursery_keeper.MAX_EARLY_DEATHS
