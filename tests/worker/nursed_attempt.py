"""worker.execute in a fork of the nursery that the tests of a process share, with the environment of its own test."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.worker.replaying_child import ANSWERS, replaying
from worker import execute
from worker.attempt_process import AttemptProcess
from worker.nursery_keeper import MODULES, NurseryKeeper
from worker.process_title import set_process_title

FORKED = (__name__, *MODULES)


class SharedNursery(NurseryKeeper):
    """Imports once what takes seconds, for jobs on databases that each have their own test."""

    def start_attempt(self, arguments: Sequence[str], *, log_path: Path) -> AttemptProcess | None:
        told = {name: value for name, value in os.environ.items() if _is_of_a_test(name)}
        return super().start_attempt([*arguments, json.dumps(told)], log_path=log_path)


def main(arguments: Sequence[str]) -> int:
    *arguments, told = arguments
    for name in filter(_is_of_a_test, list(os.environ)):
        del os.environ[name]
    os.environ.update(json.loads(told))
    set_process_title([sys.executable, "-m", execute.__name__, *arguments])
    if ANSWERS not in os.environ:
        return execute.main(arguments)
    answers = json.loads(Path(os.environ[ANSWERS]).read_text())
    return execute.main(arguments, make_engine=replaying(answers))


def _is_of_a_test(name: str) -> bool:
    return name.startswith("DRIFTGATE_") or name == ANSWERS
