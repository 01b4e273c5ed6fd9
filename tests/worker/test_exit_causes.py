import signal
from pathlib import Path

import pytest

from worker.exit_causes import OutOfMemoryKills, cause_of_death, out_of_memory_kills


def cause(status: int, *, kills_before: int | None = None, log: Path = Path("/nowhere")) -> str:
    kills = out_of_memory_kills()
    assert kills is not None
    before = None if kills_before is None else OutOfMemoryKills(kills_before, kills.place)
    return cause_of_death(status, guard_was_lost=False, kills_before=before, log_path=log)


def test_every_way_to_die_has_its_own_words() -> None:
    kills = out_of_memory_kills()
    assert kills is not None

    assert cause(3) == "The training process ended with status 3."
    assert cause(-signal.SIGSEGV) == "The training process crashed in native code (SIGSEGV)."
    assert cause(-signal.SIGUSR1) == (
        "The training process was ended by SIGUSR1, which nothing in Driftgate sent."
    )
    assert "ended by signal 40" in cause(-40)
    killed = "The training process was killed by SIGKILL, which nothing in Driftgate sent: maybe"
    assert cause(-signal.SIGKILL, kills_before=kills.count).startswith(killed)
    assert cause(-signal.SIGKILL).startswith(killed)


def test_a_kill_is_the_kernels_for_lack_of_memory_where_its_count_has_risen() -> None:
    kills = out_of_memory_kills()
    assert kills is not None

    told = cause(-signal.SIGKILL, kills_before=kills.count - 2)

    assert told.startswith(
        "The training process was killed by SIGKILL, by the kernel for lack of memory: meanwhile it "
        f"killed 2 process(es) of {kills.place}"
    )


def test_a_lost_guard_is_named() -> None:
    told = cause_of_death(
        -signal.SIGKILL, guard_was_lost=True, kills_before=None, log_path=Path("/nowhere")
    )

    assert "killed with the process that guards it" in told


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (
            "\n".join(f"line {number}" for number in range(100)),
            [f"line {n}" for n in range(92, 100)],
        ),
        (
            "step 1\nFatal Python error: Segmentation fault\n\nCurrent thread (most recent call first):\n"
            + "\n".join(f"  File {number}" for number in range(100)),
            [
                "Fatal Python error: Segmentation fault",
                "",
                "Current thread (most recent call first):",
            ]
            + [f"  File {number}" for number in range(9)],
        ),
    ],
)
def test_the_lines_that_say_most_are_kept(tmp_path: Path, log: str, told: list[str]) -> None:
    (tmp_path / "log.txt").write_text(log)

    lines = cause(-signal.SIGSEGV, log=tmp_path / "log.txt").splitlines()

    assert lines[0].endswith("(SIGSEGV). The end of its log:")
    assert lines[1:] == told
