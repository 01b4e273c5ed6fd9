"""What a run proves rests on this: forked services live, end and show themselves as started ones do."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.forked_process import ForkClient
from tests.chaos.shown_environment import ENVIRONMENT
from tests.processes import is_alive

# A fork says what it is like, and waits.
PROGRAM = """
import os, socket, subprocess, sys, time
from tests.chaos.fork_server import serve_forks
from tests.chaos.shown_environment import show_in_environment
forked = serve_forks(socket.socket(fileno=int(sys.argv[1])))
if forked is not None:
    request, (log,) = forked
    show_in_environment({"NAME": request["name"]})
    os.environ["NAME"] = request["name"]
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)  # ends with the fork
    os.write(log, b"up")
    time.sleep(60)
"""


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[bytes], ForkClient]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                env=os.environ | ENVIRONMENT,
                pass_fds=[theirs.fileno()],
            )
        yield process, ForkClient(ours)
    process.wait(timeout=10)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def test_a_fork_is_killed_alone_and_found_by_what_it_shows(server, tmp_path: Path) -> None:
    process, client = server
    log_path = tmp_path / "log"
    with log_path.open("wb") as log:
        one, two = (
            client.fork({"name": name}, descriptors=[log.fileno()]) for name in ("one", "two")
        )
    while log_path.read_bytes() != b"upup":
        time.sleep(0.01)
    (grandchild,) = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
    shown = [environment_of(pid) for pid in (one.pid, two.pid, int(grandchild), process.pid)]

    one.kill()

    assert [b"NAME=one\0" in each for each in shown] == [True, False, True, False]
    assert [b"NAME=two\0" in each for each in shown] == [False, True, False, False]
    assert not is_alive(one.pid)
    assert not two.wait(timeout_s=0)
    assert process.poll() is None


def test_forks_end_with_who_asked_for_them(server, tmp_path: Path) -> None:
    process, client = server
    with (tmp_path / "log").open("wb") as log:
        fork = client.fork({"name": "one"}, descriptors=[log.fileno()])

    client._requests.shutdown(socket.SHUT_RDWR)

    assert process.wait(timeout=10) == 0
    assert fork.wait(timeout_s=10)
