"""What a nursery of the tests runs in its children: the program that it is given, as scripted children do."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.worker.scripted_child import PREAMBLE


def main(arguments: Sequence[str]) -> int:
    program = Path(arguments[-1], "program.py").read_text()
    sys.argv = ["child", arguments[-1]]
    exec(compile(PREAMBLE + program, "program.py", "exec"), {"__name__": "child"})
    return 0
