import os
import resource
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import is_alive
from worker.evaluation.symbolic.pool import GraderUnavailableError, SymbolicPool
from worker.evaluation.symbolic.questions import Finding, Question

SAME = Question("x^2+2x+1", "(x+1)^2")
DIFFERENT = Question("x^2+2x+1", "(x-1)^2")
UNREADABLE = Question("4210_7", "4210")
ENDLESS = Question("x" + "^{x" * 40 + "}" * 40, "x")
LONG = Question("+".join(f"x^{{{n}}}" for n in range(90)), "x")


@pytest.fixture(scope="module")
def pool():
    with closing(SymbolicPool(num_processes=1)) as pool:
        yield pool


@pytest.fixture
def worker(pool):
    """The process id of the worker that waits for the next question."""
    pool.ask([SAME])
    (worker,) = worker_pids()
    return worker


def findings(pool, *questions):
    return [reply.finding for reply in pool.ask(questions)]


def children_of(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def worker_pids():
    """Children of those children of this process that fork them."""
    forkers = [pid for pid in children_of(os.getpid()) if b"symbolic.child" in command_of(pid)]
    return [worker for forker in forkers for worker in children_of(forker)]


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_questions_are_answered_in_their_order(pool):
    assert findings(pool, SAME, DIFFERENT, UNREADABLE, SAME) == [
        Finding.EQUAL,
        Finding.DIFFERENT,
        Finding.UNKNOWN,
        Finding.EQUAL,
    ]


def test_a_question_that_takes_too_long_is_given_up_from_within(pool):
    assert findings(pool, SAME, ENDLESS, SAME) == [Finding.EQUAL, Finding.LIMIT, Finding.EQUAL]


def test_a_worker_that_cannot_interrupt_itself_is_killed(pool, worker):
    os.kill(worker, signal.SIGSTOP)
    assert findings(pool, SAME, SAME) == [Finding.LIMIT, Finding.EQUAL]
    assert not is_alive(worker)


def test_a_worker_without_memory_gives_up_and_the_next_has_its_own(pool, worker):
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
    all_it_has = pages * resource.getpagesize()
    resource.prlimit(worker, resource.RLIMIT_AS, (all_it_has, all_it_has))
    assert findings(pool, LONG, SAME) == [Finding.LIMIT, Finding.EQUAL]


def test_a_worker_may_not_take_more_than_two_gibibytes(worker):
    soft, hard = resource.prlimit(worker, resource.RLIMIT_AS)
    assert 1 << 30 < soft == hard < 2 << 30


def test_a_worker_that_dies_costs_one_question_at_most(pool, worker):
    os.kill(worker, signal.SIGKILL)
    assert findings(pool, SAME, SAME, DIFFERENT)[1:] == [Finding.EQUAL, Finding.DIFFERENT]


def test_two_processes_answer_in_the_order_of_the_questions_and_end_with_their_pool(
    worker, wait_until
):
    questions, answers = [SAME, DIFFERENT] * 20, [Finding.EQUAL, Finding.DIFFERENT] * 20
    with closing(SymbolicPool(num_processes=2)) as two:
        assert two.ask([]) == []
        assert worker_pids() == [worker]
        assert findings(two, *questions) == answers
        # The first may have answered everything before the second was ready.
        wait_until(lambda: len(worker_pids()) == 3)
        workers = set(worker_pids()) - {worker}
        assert findings(two, *questions) == answers
    # The kernel ends them with their parents, a moment later.
    wait_until(lambda: not any(map(is_alive, workers)))
    assert worker_pids() == [worker]


def test_the_processes_die_with_their_parent(wait_until):
    program = """
import sys, time
from worker.evaluation.symbolic.pool import SymbolicPool
from worker.evaluation.symbolic.questions import Question
SymbolicPool(num_processes=1).ask([Question("x+1", "1+x")])
print("asked", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"asked\n"
        (forker,) = children_of(parent.pid)
        (worker,) = children_of(forker)
        parent.kill()
    wait_until(lambda: not is_alive(forker))
    wait_until(lambda: not is_alive(worker))


def test_processes_that_do_not_start_are_an_error(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with (
        closing(SymbolicPool(num_processes=1)) as pool,
        pytest.raises(GraderUnavailableError, match="extra `worker`"),
    ):
        pool.ask([SAME])
