"""What `ps` shows of a process that was forked and not executed."""

import ctypes
from collections.abc import Sequence
from pathlib import Path


def set_process_title(command: Sequence[str]) -> None:
    """Writes the command over the one that this process was started with, cut at the length of that one.

    Linux shows the memory where it put the arguments. Nothing reads them there any more: Python has copied them.
    """
    # The name in parentheses may hold spaces; see proc_pid_stat(5), fields 48 and 49.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    length = end - start
    if length <= 0:  # hidden from this process
        return
    title = b"\0".join(word.encode(errors="surrogateescape") for word in command)
    # Without a zero at the very end the kernel would read on into the environment.
    ctypes.memmove(start, title[: length - 1].ljust(length, b"\0"), length)
