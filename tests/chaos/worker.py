"""`python -m worker` with the scripted child: the one thing that it changes."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import worker.__main__ as production
from service.storage.job_store import Lease
from worker.nursery_keeper import NurseryKeeper
from worker.supervisor import Supervisor, execute_arguments

CHILD = "tests.chaos.scripted_child"
MODULES = (
    CHILD,
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


def scripted_command(lease: Lease, attempt_dir: Path) -> Sequence[str]:
    return (sys.executable, "-P", "-m", CHILD, *execute_arguments(lease, attempt_dir))


if __name__ == "__main__":
    production.Supervisor = partial(Supervisor, child_command=scripted_command)
    production.NurseryKeeper = partial(NurseryKeeper, modules=MODULES)
    production.main()
