"""What the page of a job says of other gates and of its gradients, in a real browser."""

import pytest

from tests.service.dashboard.measured_jobs import update_record
from tests.worker_records import a_gradient_fidelity, a_token_drift, an_update

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = pytest.mark.browser

BLOCKS_OF_TWO = {"gate": {"block_size": 2}, "reuse": {"epochs": 2, "minibatches": 3}}


def kept(update, drifts):
    return an_update(update, token_drift=a_token_drift([drifts]))


@pytest.fixture
def drifted(site):
    """The path of a job of whose second update, at reuse depth 2, blocks of two have drifted by (.25, 0)."""
    lease = site.claimed_job(name="drifted", **BLOCKS_OF_TWO)
    site.results.append_updates(lease, [kept(1, [0.0] * 4), kept(2, [0.25, 0.25, 0.0, 0.0])])
    return f"#/jobs/{lease.job_id}"


def line(tab, name):
    """The cells of the answer's row of this name."""
    row = tab.page.get_by_role("table", name="What the gate would have done").get_by_role(
        "row", name=name
    )
    return row.get_by_role("cell")


def test_the_jobs_own_gate_is_tried_first_and_another_after_it(drifted, open_page):
    tab = open_page(drifted)
    form = tab.page.get_by_role("form", name="A gate to try")
    expect(form.get_by_label("Tokens a block")).to_have_value("2")

    form.get_by_role("button", name="Try this gate").click()

    # g = (e^-.25, 1) = (.7788, 1), mean .8894, w = (.8756, 1.1244).
    expect(line(tab, "2 1 4")).to_have_text(
        ["1", "4", "0.124", "0.8756", "1.1244", "0.9848", "12 %", "acts"]
    )
    expect(line(tab, "1 1 4").last).to_have_text("inert")
    answer = tab.page.get_by_role("status").filter(has_text="blocks of 2, τ = 1")
    expect(answer).to_contain_text("acts, moves 6.2 % of the loss")

    form.get_by_label("Unit").select_option("sequence")
    expect(form.get_by_label("Tokens a block")).to_be_hidden()
    form.get_by_role("button", name="Try this gate").click()

    # One sequence is one unit: its weight is its own mean.
    expect(tab.page.locator(".gate-answer")).to_contain_text("whole sequence, τ = 1: inert")
    assert tab.complaints == []


def test_a_suggested_strength_is_one_click_away(drifted, open_page):
    tab = open_page(drifted)
    tab.page.get_by_role("button", name="Try this gate").click()

    # The median |s| of the second update's two blocks is .125, and .5 / .125 = 4.
    tab.page.get_by_role("button", name="Try τ = 4").click()

    expect(tab.page.locator(".gate-answer")).to_contain_text("blocks of 2, τ = 4: acts")
    expect(tab.page.get_by_label("Strength τ")).to_have_value("4")


def test_what_was_chosen_stays_while_the_job_goes_on(site, open_page):
    lease = site.claimed_job(**BLOCKS_OF_TWO)
    site.results.append_updates(lease, [kept(1, [0.0] * 4)])
    tab = open_page(f"#/jobs/{lease.job_id}")
    tab.page.get_by_label("Tokens a block").fill("3")

    site.results.append_updates(lease, [kept(2, [0.25, 0.25, 0.0, 0.0])])

    expect(tab.page.get_by_text("2 / 60 updates")).to_be_visible()
    expect(tab.page.get_by_label("Tokens a block")).to_have_value("3")


def test_a_refusal_is_said_where_it_was_asked_for(drifted, open_page):
    tab = open_page(drifted)
    tab.page.get_by_label("or adaptive, c").fill("0.5")

    tab.page.get_by_role("button", name="Try this gate").click()

    expect(tab.page.locator(".gate-form + [role=alert]")).to_contain_text(
        "strength and adaptive are both given"
    )
    expect(tab.page.locator(".gate-answer")).to_be_empty()


def test_there_is_nothing_to_ask_of_a_job_that_keeps_no_drift(site, open_page):
    lease = site.claimed_job(diagnostics={"token_drift_updates": 0})
    site.results.append_updates(lease, [update_record(1)])

    tab = open_page(f"#/jobs/{lease.job_id}")

    expect(tab.page.locator("canvas")).to_be_visible()
    expect(tab.page.get_by_role("form", name="A gate to try")).to_be_hidden()
    expect(tab.page.get_by_text("Gradient fidelity")).to_be_hidden()


def test_gradients_that_were_measured_stand_by_weighting_and_depth(site, open_page):
    lease = site.claimed_job(
        objective={"type": "teacher_topk", "k": 4},
        diagnostics={"gradient_fidelity": {"depths": [2, 4]}},
    )
    site.results.append_updates(lease, [update_record(1)])
    for depth in (2, 4):
        site.results.record_gradient_fidelity(lease, a_gradient_fidelity(depth=depth))

    tab = open_page(f"#/jobs/{lease.job_id}", width=390)

    table = tab.page.get_by_role("table", name="Cosines with the fresh gradient")
    expect(table.get_by_role("columnheader")).to_have_text(
        ["weighting", "after 2 updates", "after 4 updates"]
    )
    expect(table.get_by_role("row", name="fresh: half and half")).to_be_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
