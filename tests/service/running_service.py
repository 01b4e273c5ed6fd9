"""The REST API on a port of this machine, on a database of its own, with the stores behind it."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from service.jobs.state import JobState
from service.rest.app import create_app
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database


class RunningService:
    """Can be stopped and started again on the same port. No broker and no worker run: tests play the worker."""

    def __init__(self, settings, port):
        self.url = f"http://127.0.0.1:{port}"
        self.settings = settings
        self.database = Database(settings.resolved_database_url())
        self.jobs, self.results = JobStore(self.database), ResultStore(self.database)
        self._port = port

    def start(self):
        config = uvicorn.Config(
            create_app(self.settings),
            port=self._port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()

    def claim(self):
        """The lease of the one job that waits, running."""
        lease = self.jobs.claim(queue=self.settings.queue, owner="test", lease_s=60).lease
        self.jobs.start_running(lease)
        return lease

    def finish(self, lease, state=JobState.SUCCEEDED, failure=None):
        self.jobs.finish(lease, state=state, failure=failure, message="Done.")


@contextmanager
def running_service(settings, port):
    service = RunningService(settings, port)
    service.start()
    yield service
    service.stop()
    service.database.close()


@contextmanager
def in_background(action, *arguments):
    """Runs the action beside the block and raises here what it raised."""
    raised = []

    def run():
        try:
            action(*arguments)
        except BaseException as error:  # noqa: BLE001 told to the test
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(timeout=30)
    assert not thread.is_alive()
    for error in raised:
        raise error
