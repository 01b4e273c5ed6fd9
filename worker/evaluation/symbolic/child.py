"""`python -P -m worker.evaluation.symbolic.child PARENT`: answers questions of algebra, and may be killed.

This process imports sympy once and then forks a worker, which says `ready PID` and answers questions: a line with a
JSON array [id, given, gold] from stdin, `id FINDING` to stdout. When a worker ends or is killed, the next
one is there within milliseconds. A worker limits its memory, interrupts itself after ALARM_S, and can neither
compile text nor start programs, write files or open connections.
"""

import ctypes
import gc
import json
import logging
import os
import re
import resource
import signal
import sys
from pathlib import Path
from types import FrameType

from worker.evaluation.symbolic.questions import Finding

ALARM_S = 2.0
# Raised again and again, since libraries catch exceptions of all kinds.
ALARM_INTERVAL_S = 0.05
# On top of what the imports take, which is about 250 MB of addresses.
MEMORY_BYTES = 1 << 30
STATUS_NO_MORE_QUESTIONS = 3
PR_SET_PDEATHSIG = 1
# Reading these fills the parser's tables; every worker inherits them.
WARM_UP = (
    (r"\frac{3\sqrt{5}}{4}+x^2", "(x+1)(x-2)"),
    (r"\sqrt[3]{x}-2\pi r", r"|x|\sin x"),
    ("2x+y=3", "y=3-x"),
    ("x^2<4", "-x>-2"),  # imports what solves inequalities
)
# sympy builds functions on exponents for as many variables as there are; their text has no other names.
_MONOMIALS = re.compile(
    rb"def monomial_\w+\([ABk, ]+\):\n"
    rb"(?:\b(?:return|if|else|None|[abrABk]|[abr][0-9]+)\b|[0-9()+\-*<>=,: \n])+"
)
_FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.putenv", "os.remove", "os.rename",
    "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate", "os.kill",
    "subprocess.", "shutil.", "socket.", "pty.", "ctypes.", "signal.pthread_kill",
)  # fmt: skip


class AlarmError(BaseException):
    """Time is up. Not an `Exception`, which sympy would catch."""


class ForbiddenError(RuntimeError):
    """Something tried to run what stands in an answer."""


def main() -> int:
    """Forks one worker after another until there are no more questions; the exit status."""
    _die_with(int(sys.argv[1]))
    logging.disable()
    for given, gold in WARM_UP:
        _same(given, gold)
    gc.freeze()
    while True:
        own_pid = os.getpid()
        worker_pid = os.fork()
        if worker_pid == 0:
            _work(own_pid)
        _, status = os.waitpid(worker_pid, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
            return os.WEXITSTATUS(status) % STATUS_NO_MORE_QUESTIONS


def _same(given: str, gold: str) -> bool | None:
    # Half a second of imports, after this process has been tied to its parent.
    from worker.evaluation.answers.comparison import same_answers  # noqa: PLC0415
    from worker.evaluation.symbolic.algebra import AlgebraicEquality  # noqa: PLC0415

    return same_answers(given, gold, AlgebraicEquality())


def _work(forker_pid: int) -> None:
    """Never returns: the worker ends without what its forker would do at the end."""
    status = 1
    try:
        _die_with(forker_pid)
        _limit_resources()
        signal.signal(signal.SIGALRM, _ring)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        sys.addaudithook(_forbid)
        status = _answer_questions()
    finally:
        os._exit(status)


def _answer_questions() -> int:
    _say(f"ready {os.getpid()}")
    while line := sys.stdin.readline():
        question_id, given, gold = json.loads(line)
        finding = _find(given, gold)
        _say(f"{question_id} {finding}")
        if finding is Finding.LIMIT:
            return 0  # what was interrupted may have left the parser's tables half written
    return STATUS_NO_MORE_QUESTIONS


def _find(given: str, gold: str) -> Finding:
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, ALARM_S, ALARM_INTERVAL_S)
            equal = _same(given, gold)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (AlarmError, MemoryError, SystemError):  # the interpreter makes the last of the second
        return Finding.LIMIT
    except Exception:  # noqa: BLE001 the last resort: sympy raises what it will
        return Finding.UNKNOWN
    if equal is None:
        return Finding.UNKNOWN
    return Finding.EQUAL if equal else Finding.DIFFERENT


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _ring(_signal_number: int, _frame: FrameType | None) -> None:
    raise AlarmError


def _limit_resources() -> None:
    """MEMORY_BYTES more than now; no files, no core."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    address_space = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forbid(event: str, arguments: tuple[object, ...]) -> None:
    """Refuses what an expression has no business to do, lambdify among it."""
    is_code = event == "compile" and _is_made_up(*arguments)
    is_write = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if is_code or is_write or event.startswith(_FORBIDDEN):
        raise ForbiddenError(event)


def _is_made_up(source: object, file_name: object) -> bool:
    """Whether code is neither a module's, imported late, nor one of sympy's for monomials."""
    if source is None or str(file_name).endswith(".py"):
        return False
    return not (isinstance(source, bytes) and _MONOMIALS.fullmatch(source))


def _die_with(parent_pid: int) -> None:
    """SIGKILL when the parent ends, or now if it has."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
