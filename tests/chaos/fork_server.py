"""A loop that forks this process for each request: what it has imported is ready in every fork.

Requests come by a socket (AF_UNIX, SOCK_SEQPACKET), each a message with a JSON object and the descriptors that it needs;
the answer is the fork's pid and a pidfd of it. `tests.chaos.forked_process` is the other end.
"""

import gc
import json
import os
import signal
import socket
from pathlib import Path

from service.child_process import die_with_parent

MAX_REQUEST_BYTES = 65_536
MAX_DESCRIPTORS = 2

Request = dict[str, object]


def serve_forks(requests: socket.socket) -> tuple[Request, list[int]] | None:
    """Returns the request in a fork, which lives no longer than this process, and None here when nobody is left to ask."""
    num_threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    assert num_threads == 1, f"a fork would lack {num_threads - 1} threads of this process"
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the forks
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page that it looks at
    own_pid = os.getpid()
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(
                requests, MAX_REQUEST_BYTES, MAX_DESCRIPTORS
            )
        except ConnectionResetError:  # the other end was closed with something unread
            return None
        if not message:
            return None
        # The fork does nothing before who asked has its pidfd: the kernel would reap one that ended at once.
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writes)
            requests.close()
            die_with_parent(own_pid)
            os.setsid()
            signal.signal(signal.SIGCHLD, handler)
            os.read(reads, 1)
            os.close(reads)
            return json.loads(message), descriptors
        pidfd = os.pidfd_open(pid)
        socket.send_fds(requests, [str(pid).encode()], [pidfd])
        for descriptor in (reads, writes, pidfd, *descriptors):
            os.close(descriptor)
