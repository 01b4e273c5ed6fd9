import time
from collections.abc import Iterator

import pytest

from tests.worker.nursed_attempt import FORKED, SharedNursery
from worker.supervisor import child_environment


@pytest.fixture(scope="session")
def nursery() -> Iterator[SharedNursery]:
    """Where the children of jobs are forked, as a worker does by default."""
    nursery = SharedNursery(environment=child_environment(1), modules=FORKED)
    nursery.start()
    while nursery.pid is None:
        time.sleep(0.01)
    yield nursery
    nursery.close()
