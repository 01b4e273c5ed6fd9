"""A served page and jobs in its database.

- `site`: the real REST application on SQLite behind a real HTTP server, with the stores to fill it.
- `browser`: the system's Chromium.
- `open_page(path, width=…)`: a tab, with what it asked for and what it logged.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import uvicorn

from service.jobs.spec import AnyJobSpec
from service.rest.app import create_app
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from tests.service.dashboard.measured_jobs import job_spec

QUEUE = "default"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@dataclass(frozen=True)
class Site:
    """The address of a running server and its stores."""

    url: str
    jobs: JobStore
    results: ResultStore
    stop: Callable[[], None]

    def claimed_job(self, **fields: object) -> Lease:
        """A job that a worker is running."""
        return self.claimed(job_spec(**fields))

    def claimed(self, spec: AnyJobSpec) -> Lease:
        """A job of this spec that a worker is running."""
        self.jobs.create(spec, warnings=(), queue=QUEUE)
        claim = self.jobs.claim(queue=QUEUE, owner="worker-1", lease_s=600)
        assert claim is not None
        self.jobs.start_running(claim.lease)
        return claim.lease


@pytest.fixture
def serve(settings_factory, sqlite_url, unused_port, wait_until) -> Iterator[Callable[..., Site]]:
    """Starts a site with these settings; one a test."""
    database = Database(sqlite_url)
    stops: list[Callable[[], None]] = []

    def start(**fields: object) -> Site:
        app = create_app(settings_factory(database_url=sqlite_url, http_port=unused_port, **fields))
        server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=unused_port, log_level="warning")
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started)

        def stop() -> None:
            server.should_exit = True
            thread.join(timeout=30)

        stops.append(stop)
        return Site(
            url=f"http://127.0.0.1:{unused_port}",
            jobs=JobStore(database),
            results=ResultStore(database),
            stop=stop,
        )

    yield start
    for stop in stops:
        stop()
    database.close()


@pytest.fixture
def site(serve) -> Site:
    return serve()


# Not for the whole session: Playwright keeps an event loop running in this thread, beside which
# other tests could start none.
@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page, every address it asked for, and every warning, error and dialog it raised."""

    page: object
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser, site) -> Iterator[Callable[..., Tab]]:
    contexts = []

    def open_(path: str = "", *, width: int = 1280) -> Tab:
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        tab = Tab(context.new_page())
        tab.page.on("request", lambda request: tab.requested.append(request.url))
        tab.page.on("console", lambda message: tab.complaints.append(message.text))
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on(
            "dialog", lambda dialog: (tab.complaints.append(dialog.message), dialog.dismiss())
        )
        tab.page.goto(f"{site.url}/{path}")
        return tab

    yield open_
    for context in contexts:
        context.close()
