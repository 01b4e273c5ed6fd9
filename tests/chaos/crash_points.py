"""Points at which a process may end: before each statement that writes and each commit of a database, before each step
of the file system that renames, syncs, makes or removes something, and before whatever is sent over a socket.

What ends after one leaves what is there before the next; so what only reads has no point. They are hooks that only the
process of a test installs, so new code has its points without knowing of them.
"""

import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Connection, Engine, event

from service.storage.sessions import DriverTransaction

# From the number of a point, counted from 1, and its name to whether the process ends there.
Fatal = Callable[[int, str], bool]

# Of several in a row the first: clients of a broker say much before they say anything.
GREETINGS = frozenset({"before send", "before sendall"})
WRITING = ("INSERT", "UPDATE", "DELETE")
FILE_EVENTS = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"}
)


def never(_number: int, _name: str) -> bool:
    return False


def point(wanted: int) -> Fatal:
    return lambda number, _name: number == wanted


def nth_of(words: str, times: int) -> Fatal:
    """The point whose name has the words, when it is come to so often."""
    counted = itertools.count(1)
    return lambda _number, name: words in name and next(counted) == times


class CrashPoints:
    """Names each point that the process comes to, and ends it without a word at the fatal one."""

    def __init__(self, *, is_fatal: Fatal, told: Callable[[str], object]) -> None:
        self._is_fatal = is_fatal
        self._told = told
        self._numbers = itertools.count(1)
        self._last = ""

    def reach(self, name: str) -> None:
        if name in GREETINGS and name == self._last:
            return
        self._last = name
        self._told(name)
        if self._is_fatal(next(self._numbers), name):
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Of databases and sockets; for good, as the process is a fork that ends soon."""

        @event.listens_for(Engine, "before_cursor_execute")
        def before_statement(_connection, _cursor, statement: str, *_rest: object) -> None:
            self._reach_statement(statement)

        @event.listens_for(Engine, "commit")
        def before_commit(_connection: Connection) -> None:
            self.reach("before commit")

        execute = DriverTransaction.exec_driver_sql

        def before_statement_of_driver(
            transaction: DriverTransaction, statement: str, *parameters: Mapping[str, object]
        ) -> object:
            self._reach_statement(statement)
            return execute(transaction, statement, *parameters)

        DriverTransaction.exec_driver_sql = before_statement_of_driver
        self._wrap(socket.socket, "connect")
        self._wrap(socket.socket, "send")
        self._wrap(socket.socket, "sendall")

    def _reach_statement(self, statement: str) -> None:
        words = statement.split(maxsplit=3)[:3]
        if words[0] in WRITING:
            self.reach(f"before {' '.join(words)}")
        elif words[0] == "COMMIT":
            self.reach("before commit")

    def install_for_files(self, folder: str) -> None:
        """Files elsewhere do not count."""

        def before_file(name: str, arguments: tuple[object, ...]) -> None:
            if name in FILE_EVENTS and str(arguments[0]).startswith(folder):
                self.reach(f"before {name} of {Path(str(arguments[0])).name}")

        sys.addaudithook(before_file)
        self._wrap(os, "fsync")

    def _wrap(self, owner: object, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: object, **options: object) -> object:
            self.reach(f"before {name}")
            return original(*arguments, **options)

        setattr(owner, name, wrapped)
