"""What a child that left no failure died of, in words for a person."""

import signal
from dataclasses import dataclass
from pathlib import Path

from service.child_process import last_lines

# Raised by the processor or by the C library when native code goes wrong.
NATIVE_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS}
)
# What Python's fault handler writes first, and how much of what it writes says where.
FAULT = "Fatal Python error"
NUM_FAULT_LINES = 12
MAX_LOG_BYTES = 16_384
MAX_CAUSE_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class OutOfMemoryKills:
    """Processes that the kernel killed for lack of memory so far, in `place`."""

    count: int
    place: str


def out_of_memory_kills() -> OutOfMemoryKills | None:
    """Of this process's control group, where the kernel counts them by group; else of the machine."""
    for events, place in (*_group_files(), (Path("/proc/vmstat"), "the machine")):
        try:
            for line in events.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return OutOfMemoryKills(int(value), place)
        except (OSError, ValueError):
            continue
    return None


def cause_of_death(
    exit_status: int,
    *,
    guard_was_lost: bool,
    kills_before: OutOfMemoryKills | None,
    log_path: Path,
) -> str:
    """One sentence, and the lines of the log that say more."""
    if guard_was_lost:
        sentence = (
            "was killed with the process that guards it, which something outside of Driftgate ended"
        )
    else:
        sentence = _in_words(exit_status, kills_before)
    sentence = f"The training process {sentence}."
    tail = _telling_lines(log_path)
    whole = f"{sentence} The end of its log:\n{tail}" if tail else sentence
    return whole[:MAX_CAUSE_CHARACTERS]


def _in_words(exit_status: int, kills_before: OutOfMemoryKills | None) -> str:
    if exit_status >= 0:
        return f"ended with status {exit_status}"
    number = -exit_status
    if number == signal.SIGKILL:
        return f"was killed by SIGKILL, {_who_killed(kills_before)}"
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal
        name = f"signal {number}"
    if number in NATIVE_CRASHES:
        return f"crashed in native code ({name})"
    return f"was ended by {name}, which nothing in Driftgate sent"


def _who_killed(before: OutOfMemoryKills | None) -> str:
    after = out_of_memory_kills()
    if before is not None and after is not None and after.count > before.count:
        return (
            f"by the kernel for lack of memory: meanwhile it killed {after.count - before.count} "
            f"process(es) of {after.place} for that"
        )
    return (
        "which nothing in Driftgate sent: maybe by the kernel for lack of memory, or by an operator"
    )


def _telling_lines(log_path: Path) -> str:
    lines = last_lines(log_path, num_lines=1000, max_bytes=MAX_LOG_BYTES).splitlines()
    for index, line in enumerate(lines):
        if line.startswith(FAULT):
            return "\n".join(lines[index : index + NUM_FAULT_LINES])
    return last_lines(log_path)


def _group_files() -> list[tuple[Path, str]]:
    """The files of this process's control group that count kills: version 2's and version 1's."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    root = Path("/sys/fs/cgroup")
    files = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files.append((root / path.lstrip("/") / "memory.events", f"control group {path}"))
        elif "memory" in controllers.split(","):
            folder = root / "memory" / path.lstrip("/")
            files.append((folder / "memory.oom_control", f"control group {path}"))
    return files
