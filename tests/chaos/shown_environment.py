"""What /proc/PID/environ shows of a process that was forked and not executed: a place that can be written over."""

import ctypes
from pathlib import Path

PLACE = "CHAOS_PLACE"
LENGTH = 400
# In the environment of a process whose forks are to show something of their own, and never set anew.
ENVIRONMENT = {PLACE: "." * LENGTH}


def show_in_environment(variables: dict[str, str]) -> None:
    """In place of the variable that was kept for it; forks of this process show the same."""
    # The name in parentheses may hold spaces; see proc_pid_stat(5), fields 50 and 51.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    place = ctypes.string_at(start, end - start).index(f"{PLACE}=".encode())
    shown = "".join(f"{name}={value}\0" for name, value in variables.items()).encode()
    length = len(PLACE) + 1 + LENGTH
    assert len(shown) < length, f"there is room for {length} bytes"
    # libc's own list of variables points here too: to the first of these from now on.
    ctypes.memmove(start + place, shown.ljust(length, b"\0"), length)
