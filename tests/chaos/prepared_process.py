"""Forks of a process that has everything ready: one runs to its end and tells its points, one ends at a point."""

import gc
import os
import signal
import traceback
from collections.abc import Callable

from service.storage.sessions import Database
from tests.chaos.crash_points import CrashPoints, Fatal, never

Act = Callable[[], object]


class PreparedProcess:
    """The calling process has one thread.

    folder: where files have points; None where they have none. database: shared with the forks, but none of its
    connections is.
    """

    def __init__(self, *, folder: str | None, database: Database) -> None:
        self._folder = folder
        self._database = database

    def points_of(self, act: Act) -> list[str]:
        """The points that the act comes to, in their order, with the last one after all of it."""
        reads, writes = os.pipe()
        pid = self._fork(act, never, told=lambda name: os.write(writes, f"{name}\n".encode()))
        os.close(writes)
        with os.fdopen(reads) as lines:
            names = lines.read().splitlines()
        assert _status_of(pid) == 0, "the step does not work at all"
        return names

    def run(self, act: Act) -> None:
        """To its end, as a process that may have threads."""
        status = _status_of(self._fork(act, never, told=lambda _name: None))
        assert status == 0, "the step does not work at all"

    def end_at(self, is_fatal: Fatal, act: Act) -> None:
        """A process may come to a point less than another did: then it ends after all."""
        status = _status_of(self._fork(act, is_fatal, told=lambda _name: None))
        assert status in (0, -signal.SIGKILL), "the step does not work at all"

    def _fork(self, act: Act, is_fatal: Fatal, *, told: Callable[[str], object]) -> int:
        self._database.close()  # connections do not survive a fork; the compiled statements do
        pid = os.fork()
        if pid:
            return pid
        status = 1
        gc.disable()  # a collection would copy every page that it looks at
        try:
            points = CrashPoints(is_fatal=is_fatal, told=told)
            points.install()
            if self._folder is not None:
                points.install_for_files(self._folder)
            act()
            points.reach("after all")
            status = 0
        except BaseException:  # noqa: BLE001 nothing may return into what the caller does
            traceback.print_exc()
        os._exit(status)


def _status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
