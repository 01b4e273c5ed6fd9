"""Several commands as one tree: started in order, restarted when they die, stopped in reverse order."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.child_process import ChildProcess

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
# A process that ran this long had started well; its next death is restarted at once again.
STABLE_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Member:
    """One command of the tree and how long it may take to stop."""

    name: str
    command: Sequence[str]
    stop_grace_s: float
    log_path: Path


@dataclass(frozen=True, slots=True)
class Death:
    """A member that ended without having been asked to, and when it starts again."""

    member: Member
    exit_status: int
    restart_in_s: float


class ProcessTree:
    """The members, alive. Use from one thread: children die with the thread that started them."""

    def __init__(self, *, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._running: dict[str, _Running] = {}

    def start(self, member: Member) -> None:
        """Starts a member after those that were started before it."""
        self._running[member.name] = _Running(member, self._launch(member))

    def restart_the_dead(self) -> list[Death]:
        """The members found dead since the last call; each starts again after its backoff."""
        deaths = []
        now = time.monotonic()
        for running in self._running.values():
            if running.restart_at is not None:
                if now >= running.restart_at:
                    running.child = self._launch(running.member)
                    running.started_at = now
                    running.restart_at = None
                continue
            exit_status = running.child.wait(timeout_s=0)
            if exit_status is not None:
                backoff_s = running.next_backoff_s(now)
                running.restart_at = now + backoff_s
                deaths.append(Death(running.member, exit_status, backoff_s))
        return deaths

    def stop(self) -> None:
        """Stops every member, the last started first; a member past its grace is killed."""
        for running in reversed(self._running.values()):
            running.child.ask_to_stop()
            if running.child.wait(timeout_s=running.member.stop_grace_s) is None:
                running.child.kill()
        self._running.clear()

    def kill(self) -> None:
        """Ends every member at once."""
        for running in self._running.values():
            running.child.kill()
        self._running.clear()

    def _launch(self, member: Member) -> ChildProcess:
        return ChildProcess(member.command, log_path=member.log_path, environment=self._environment)


class _Running:
    def __init__(self, member: Member, child: ChildProcess) -> None:
        self.member = member
        self.child = child
        self.started_at = time.monotonic()
        self.restart_at: float | None = None
        self._num_early_deaths = 0

    def next_backoff_s(self, now: float) -> float:
        """Doubles with every death in a row."""
        if now - self.started_at >= STABLE_AFTER_S:
            self._num_early_deaths = 0
        backoff_s = FIRST_BACKOFF_S * 2.0**self._num_early_deaths
        self._num_early_deaths += 1
        return min(MAX_BACKOFF_S, backoff_s)
