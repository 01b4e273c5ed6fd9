"""The pages of studies in a real browser, over the real API and database."""

import httpx
import pytest

from tests.service.dashboard.measured_jobs import update_record
from tests.service.studies import played_runs
from tests.service.studies.played_runs import STUDY, play_one

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = pytest.mark.browser

NAME = "<b>does it help?</b>"


@pytest.fixture
def study_id(site, monkeypatch):
    """Three arms of which two seeds have ended; the block arm is above the baseline, the control collapsed."""
    monkeypatch.setattr(played_runs, "an_update", update_record)
    body = STUDY | {"name": NAME, "max_active_jobs": 9}
    made = httpx.post(f"{site.url}/v1/studies", json=body, timeout=60).json()["id"]
    right = {"ungated": (2, 3, 4, 5), "block": (4, 5, 6, 7), "shuffled-gate": (0, 0, 0, 1)}
    for _ in range(6):
        play_one(site.jobs, site.results, lambda arm, _seed: right[arm])
    httpx.post(
        f"{site.url}/v1/studies/{made}:resume", timeout=60
    )  # a round, as the reconciler makes them
    return made


def test_a_study_shows_its_contrast_seeds_intervals_collapses_runs_and_drift(
    site, open_page, study_id
):
    tab = open_page("#/studies")
    tab.page.get_by_role("link", name=NAME).click()

    expect(tab.page.get_by_role("heading", name=NAME)).to_be_visible()
    # 22 of 32 samples against 14 of 32.
    contrast = tab.page.locator(".contrast")
    expect(contrast).to_contain_text("block − ungated, pass@1: +0.250")
    expect(contrast).to_contain_text("at least 6 paired seeds")
    registered = tab.page.locator("figure", has_text="pass@1 registered")
    expect(registered.locator("g.row")).to_have_count(3)
    expect(registered.locator("circle.seed")).to_have_count(4)
    expect(registered.locator("path.collapsed")).to_have_count(2)
    expect(registered.locator("g.interval-line")).to_have_count(3)
    expect(registered.get_by_text("shuffled-gate ▼2")).to_be_visible()

    runs = tab.page.get_by_role("table", name="Runs by arm and seed")
    expect(runs.get_by_role("link")).to_have_count(9)
    expect(runs.get_by_role("row", name="shuffled-gate")).to_contain_text("▼▼0/52")
    differences = tab.page.get_by_role("table", name="Exploratory differences")
    expect(differences.get_by_role("row", name="shuffled-gate − ungated")).to_have_count(2)
    expect(differences).to_contain_text("too few seeds")
    expect(tab.page.locator("canvas")).to_have_count(3)
    expect(tab.page.get_by_text("6 of 9 runs ended")).to_be_visible()
    assert tab.complaints == []


def test_a_study_is_paused_and_cancelled_from_its_page(site, open_page):
    study_id = httpx.post(f"{site.url}/v1/studies", json=STUDY, timeout=60).json()["id"]
    page = open_page(f"#/studies/{study_id}", width=420).page
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".state-line")).to_contain_text("paused")
    page.get_by_role("button", name="Cancel study…").click()
    page.get_by_role("button", name="Cancel the study").click()
    expect(page.locator(".state-line")).to_contain_text("cancelled")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_a_study_that_is_not_there_is_named(open_page):
    page = open_page(f"#/studies/{'0' * 32}").page
    expect(page.get_by_text("There is no study '00000000")).to_be_visible()
