"""Processes that do algebra: started when first needed, killed when they take too long.

One thread waits for all of them. They die with the thread that asked first, so ask from one that lives on.
"""

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from worker.evaluation.symbolic.questions import Finding, Question

KILL_AFTER_S = 3.0
# sympy is imported from a cold disk, perhaps beside a trainer.
START_TIMEOUT_S = 120.0
QUESTIONS_PER_WORKER = 2_000


class GraderUnavailableError(RuntimeError):
    """The processes for algebra do not start."""


@dataclass(frozen=True, slots=True)
class Reply:
    finding: Finding
    milliseconds: float


class SymbolicPool:
    """At most `num_processes` processes."""

    def __init__(self, *, num_processes: int) -> None:
        if num_processes < 1:
            raise ValueError(f"num_processes is {num_processes}, but at least 1 is needed")
        self._num_processes = num_processes
        self._processes: list[_Process] = []
        self._selector = selectors.DefaultSelector()

    def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """A reply to every question, in their order. Raises GraderUnavailableError."""
        waiting = deque(range(len(questions)))
        replies: dict[int, Reply] = {}
        while len(replies) < len(questions):
            self._start(len(waiting))
            for process in self._processes:
                if waiting and process.phase is _Phase.IDLE:
                    index = waiting.popleft()
                    process.ask(index, questions[index])
            for process in self._wait():
                replies |= process.take_replies()
        return [replies[index] for index in range(len(questions))]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        self._processes.clear()
        self._selector.close()

    def _start(self, num_waiting: int) -> None:
        """As many more processes as there are questions that no process is free for."""
        num_free = sum(process.phase is not _Phase.BUSY for process in self._processes)
        while len(self._processes) < self._num_processes and num_free < num_waiting:
            process = _Process()
            self._selector.register(process.stdout, selectors.EVENT_READ, process)
            self._processes.append(process)
            num_free += 1

    def _wait(self) -> "list[_Process]":
        """Processes that said something or were stopped for saying nothing; ended ones are taken out."""
        deadline = min(process.deadline for process in self._processes)
        ready = self._selector.select(max(0.0, deadline - time.monotonic()))
        speaking = [key.data for key, _ in ready]
        for process in self._processes.copy():
            if process in speaking:
                process.listen()
            elif process.deadline <= time.monotonic():
                process.give_up()
                speaking.append(process)
            if process.phase is _Phase.ENDED:
                self._selector.unregister(process.stdout)
                self._processes.remove(process)
        return speaking


class _Phase(StrEnum):
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    ENDED = "ended"


class _Process:
    """A forker and its worker of the moment, with at most one question on the way."""

    def __init__(self) -> None:
        command = ["-W", "ignore", "-P", "-m", "worker.evaluation.symbolic.child"]
        # Sets are ordered by hashes. No secret of this process is of any use there.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("DRIFTGATE_")
        }
        self._popen = subprocess.Popen(  # noqa: S603 this package, no shell
            [sys.executable, *command, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | {"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._stdin, self.stdout = self._popen.stdin, self._popen.stdout
        self.phase = _Phase.STARTING
        self.deadline = time.monotonic() + START_TIMEOUT_S
        self._was_ready = False
        self._worker_pidfd: int | None = None
        self._unread = b""
        self._index: int | None = None
        self._num_asked = 0
        self._asked_at = 0.0
        self._replies: dict[int, Reply] = {}

    def ask(self, index: int, question: Question) -> None:
        self._num_asked += 1
        self._index = index
        self._asked_at = time.monotonic()
        self.phase, self.deadline = _Phase.BUSY, self._asked_at + KILL_AFTER_S
        line = json.dumps([self._num_asked, question.given, question.gold])
        with suppress(BrokenPipeError):  # its end is told by its stdout
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()

    def listen(self) -> None:
        """Takes in what the process said; raises GraderUnavailableError if it ends before it was ever ready."""
        said = os.read(self.stdout.fileno(), 65536)
        if not said:
            self._end()
            return
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            first, _, second = line.decode().partition(" ")
            if first == "ready":
                self._welcome(int(second))
            elif self.phase is _Phase.BUSY and first == str(self._num_asked):
                self._conclude(Finding(second))

    def give_up(self) -> None:
        """Kills the worker that does not answer."""
        if self.phase is _Phase.STARTING:
            self.kill()
            raise GraderUnavailableError(
                f"a process for symbolic grading was not ready after {START_TIMEOUT_S:.0f} s"
            )
        self._conclude(Finding.LIMIT)

    def kill(self) -> None:
        if self.phase is _Phase.ENDED:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._forget_worker()
        with suppress(BrokenPipeError):
            self._stdin.close()
        self.stdout.close()
        self.phase = _Phase.ENDED

    def take_replies(self) -> dict[int, Reply]:
        replies, self._replies = self._replies, {}
        return replies

    def _welcome(self, pid: int) -> None:
        if self.phase is _Phase.BUSY:  # the worker before it died over the question
            self._reply(Finding.LIMIT)
        self._forget_worker()
        with suppress(ProcessLookupError):
            self._worker_pidfd = os.pidfd_open(pid)
        self._was_ready = True
        self.phase, self.deadline = _Phase.IDLE, math.inf

    def _conclude(self, finding: Finding) -> None:
        self._reply(finding)
        self.phase, self.deadline = _Phase.IDLE, math.inf
        if finding is Finding.LIMIT or self._num_asked % QUESTIONS_PER_WORKER == 0:
            self._kill_worker()
            self.phase, self.deadline = _Phase.STARTING, time.monotonic() + START_TIMEOUT_S

    def _reply(self, finding: Finding) -> None:
        assert self._index is not None
        milliseconds = (time.monotonic() - self._asked_at) * 1000
        self._replies[self._index] = Reply(finding, milliseconds)
        self._index = None

    def _end(self) -> None:
        if self.phase is _Phase.BUSY:
            self._reply(Finding.LIMIT)
        was_ready = self._was_ready
        self.kill()
        if not was_ready:
            raise GraderUnavailableError(
                f"the processes for symbolic grading end at their start, with status {self._popen.returncode}; "
                "they need the extra `worker`: pip install 'driftgate[worker]'"
            )

    def _kill_worker(self) -> None:
        if self._worker_pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._worker_pidfd, signal.SIGKILL)

    def _forget_worker(self) -> None:
        if self._worker_pidfd is not None:
            os.close(self._worker_pidfd)
        self._worker_pidfd = None
