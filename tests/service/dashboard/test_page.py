"""The page in a real browser, over the real API and database."""

import hashlib
import itertools
import json
import re
import shlex
from urllib.parse import urlsplit

import httpx
import pytest

from service.errors import ErrorCode
from service.jobs.parsing import parse_spec
from service.jobs.records import PromptOverlapRecord
from service.jobs.results import Failure, FieldViolation
from service.jobs.state import JobState
from tests.service.dashboard.measured_jobs import evaluation_record, job_spec, update_record
from tests.worker_records import a_batch, a_reverse_kl, a_sample

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = pytest.mark.browser

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)"> & co'


def line(tab, title):
    """The thin line of the chart with this title: one point an update."""
    return tab.page.locator("figure", has_text=title).locator("path.each")


def pixel(tab, *, across, down):
    """[red, green, blue, opacity] of the drift map at these fractions of its plot."""
    return tab.page.locator("canvas").evaluate(
        """(canvas, [across, down]) => {
          const ratio = devicePixelRatio, [left, right, top, bottom] = [58, 10, 8, 22];
          const x = left + across * (canvas.clientWidth - left - right);
          const y = top + down * (canvas.clientHeight - top - bottom);
          return [...canvas.getContext("2d").getImageData(x * ratio, y * ratio, 1, 1).data];
        }""",
        [across, down],
    )


def test_jobs_stand_newest_first_with_state_phase_progress_objective_and_gate(site, open_page):
    lease = site.claimed_job(name="older", objective={"type": "teacher_topk", "k": 4})
    site.results.append_updates(lease, [update_record(1), update_record(2)])
    site.jobs.create(job_spec(name="newer"), warnings=(), queue="default")

    rows = open_page().page.locator("tbody tr")

    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("newer")
    expect(rows.nth(0)).to_contain_text("queued")
    expect(rows.nth(0)).to_contain_text("sampled token, clip 0.2")
    expect(rows.nth(1)).to_contain_text("older")
    expect(rows.nth(1)).to_contain_text("running")
    expect(rows.nth(1)).to_contain_text("1 / 10 steps")
    expect(rows.nth(1)).to_contain_text("teacher top-K, K = 4")
    expect(rows.nth(1)).to_contain_text("blocks of 16, τ = 1")


def test_older_jobs_come_when_asked_for(site, open_page):
    for number in range(51):
        site.jobs.create(job_spec(name=f"job {number}"), warnings=(), queue="default")
    tab = open_page()
    expect(tab.page.locator("tbody tr")).to_have_count(50)

    tab.page.get_by_role("button", name="Show older jobs").click()

    expect(tab.page.locator("tbody tr")).to_have_count(51)
    expect(tab.page.locator("tbody tr").last).to_contain_text("job 0")


def test_a_job_shows_the_loss_pass_at_k_and_drift_that_were_recorded(site, open_page):
    lease = site.claimed_job(name="measured")
    losses = [0.5, 0.4, float("nan"), 0.2, 0.125]
    site.results.append_updates(
        lease, [update_record(i, loss=loss) for i, loss in enumerate(losses, start=1)]
    )
    site.results.record_evaluation(lease, evaluation_record("baseline", num_correct=(0, 0, 0, 8)))
    site.results.record_evaluation(lease, evaluation_record("final", num_correct=(8, 8, 0, 8)))

    tab = open_page(f"#/jobs/{lease.job_id}")

    # Runs of 2 values each side of the gap; every run starts at one point and goes to its own.
    expect(line(tab, "Loss")).to_have_attribute("d", re.compile("^M[^M]*L[^M]*L[^M]*M"))
    path = line(tab, "Loss").get_attribute("d")
    assert (path.count("M"), path.count("L")) == (2, 4)
    expect(tab.page.locator("figure", has_text="Loss").locator("output")).to_have_text("last 0.125")
    expect(tab.page.locator(".gate-verdict")).to_have_text(
        "gate: active, weights vary by up to 2 % (std)"
    )

    table = tab.page.get_by_role("table", name="pass@k on chains")
    pass_at_8 = table.get_by_role("row", name="pass@8").locator(".estimate")
    expect(pass_at_8).to_have_text(["0.250", "0.750", "+0.500"])  # 1 of 4 problems, then 3
    expect(tab.page.locator(".interval-plot g.stage-final")).to_have_count(2)
    expect(tab.page.get_by_text("raining-seed variance")).to_be_visible()

    [red, _, blue, opacity] = pixel(tab, across=0.5, down=1 / 6)
    assert (red > blue, opacity) == (True, 255), "positive drift is warm"
    [red, _, blue, opacity] = pixel(tab, across=0.5, down=3 / 6)
    assert (red < blue, opacity) == (True, 255), "negative drift is cold"
    tab.page.locator("canvas").focus()
    tab.page.keyboard.press("Home")
    tab.page.keyboard.press("ArrowDown")
    expect(tab.page.locator("output").last).to_have_text(
        "update 1, positions 16–31: −0.01 (mean |d| 0.02, 100 tokens)"
    )


def test_an_evaluation_shows_its_samples_and_results_and_nothing_of_training(site, open_page):
    chains = {"name": "chains", "problems": {"source": "arithmetic", "num_problems": 4}}
    spec = {
        "kind": "evaluation",
        "model": {"model": "builtin/arithmetic-teacher"},
        "evaluation": {"benchmarks": [chains]},
    }
    lease = site.claimed(parse_spec(spec))
    site.results.record_samples(lease, a_batch("model", [a_sample(0), a_sample(1)], total=32))
    row = open_page().page.locator("tbody tr")
    expect(row).to_contain_text("evaluation of builtin/arithmetic-teacher")
    expect(row).to_contain_text("2 / 32 samples")

    site.results.record_evaluation(lease, evaluation_record("model", num_correct=(0, 0, 8, 8)))
    tab = open_page(f"#/jobs/{lease.job_id}")

    table = tab.page.get_by_role("table", name="pass@k on chains")
    pass_at_8 = table.get_by_role("row", name="pass@8")
    expect(pass_at_8.locator(".estimate")).to_have_text(["0.500"])
    expect(pass_at_8).to_contain_text("samples: ")
    expect(tab.page.locator(".interval-plot g.stage-model")).to_have_count(2)
    expect(tab.page.get_by_text("Graded by a grader")).to_be_visible()
    for heading in ("Training", "Drift map", "Checkpoints"):
        expect(tab.page.get_by_role("heading", name=heading)).to_have_count(0)
    assert tab.complaints == []


def test_evaluations_during_training_and_means_stand_in_tables_of_their_own(site, open_page):
    lease = site.claimed_job()
    for stage, benchmark in itertools.product(
        ("baseline", "step-0000005", "final"), ("chains", "sums")
    ):
        record = evaluation_record(stage, num_correct=(0, 2, 4, 8), benchmark=benchmark)
        site.results.record_evaluation(lease, record)
        if stage in ("baseline", "final"):
            mean = {"baseline": 0.75, "final": 0.25}[stage]
            site.results.record_reverse_kl(lease, a_reverse_kl(stage, mean, benchmark=benchmark))
    site.results.record_overlap(lease, PromptOverlapRecord("sums", 100, 7, 7, ()))

    page = open_page(f"#/jobs/{lease.job_id}").page

    during = page.get_by_role("table", name="pass@k on sums during training")
    expect(during.get_by_role("row", name="step 5")).to_contain_text("0.438")
    mean = page.get_by_role("table", name="Mean pass@k over benchmarks")
    expect(mean.get_by_role("row", name="pass@8").locator(".estimate")).to_have_text(["0.750"] * 2)
    distance = page.get_by_role("table", name="Reverse KL of the student to the teacher")
    expect(distance.get_by_role("row", name="sums").locator("td")).to_have_text(
        ["0.75± 0.0625", "0.25± 0.0625"]
    )
    expect(page.get_by_text("7 of 100 prompts share 13 words in a row with sums")).to_be_visible()


def test_a_running_job_is_brought_up_to_date_without_a_reload(site, open_page):
    lease = site.claimed_job()
    site.results.append_updates(lease, [update_record(1), update_record(2)])
    tab = open_page(f"#/jobs/{lease.job_id}")
    expect(tab.page.locator("canvas")).to_have_attribute("aria-label", re.compile("2 updates"))

    site.results.append_updates(lease, [update_record(3), update_record(4)])

    expect(tab.page.locator(".progress-line")).to_contain_text("2 / 10 steps")
    expect(tab.page.locator("canvas")).to_have_attribute("aria-label", re.compile("4 updates"))
    expect(line(tab, "Loss")).to_have_attribute("d", re.compile("^M[^L]*(L[^L]*){4}$"))


def test_updates_that_a_resumed_attempt_replaced_are_replaced_on_the_page(site, open_page):
    lease = site.claimed_job()
    site.results.append_updates(lease, [update_record(i, loss=9.0) for i in range(1, 6)])
    tab = open_page(f"#/jobs/{lease.job_id}")
    output = tab.page.locator("figure", has_text="Loss").locator("output")
    expect(output).to_have_text("last 9")

    site.jobs.release(lease, message="killed", counted=True, max_attempts=3)
    second = site.jobs.claim(queue="default", owner="worker-2", lease_s=600).lease
    site.jobs.start_running(second)
    site.results.resume_from(second, update=2)
    site.results.append_updates(second, [update_record(3, loss=0.5)])

    expect(output).to_have_text("last 0.5")
    expect(tab.page.locator("canvas")).to_have_attribute("aria-label", re.compile("3 updates"))


def test_a_gate_that_does_nothing_is_called_inert(site, open_page):
    lease = site.claimed_job()
    site.results.append_updates(
        lease, [update_record(1, gate_std=0.0), update_record(2, gate_std=1e-7)]
    )

    tab = open_page(f"#/jobs/{lease.job_id}")

    expect(tab.page.locator(".gate-verdict")).to_contain_text("gate: inert")


def test_what_is_not_finite_is_a_gap_in_the_line_and_is_named(site, open_page):
    lease = site.claimed_job()
    losses = [0.5, float("inf"), 0.25, float("-inf")]
    site.results.append_updates(
        lease,
        [update_record(i, loss=loss, gate_std=float("nan")) for i, loss in enumerate(losses, 1)],
    )

    tab = open_page(f"#/jobs/{lease.job_id}")

    expect(tab.page.locator("figure", has_text="Loss").locator("output")).to_have_text("last −∞")
    path = line(tab, "Loss").get_attribute("d")
    assert re.fullmatch(r"(M[\d. ]+L[\d. ]+){2}", path), (
        "two dots, neither joined nor without a place"
    )
    expect(tab.page.locator("figure", has_text="Gate dispersion")).to_contain_text(
        "no finite value"
    )
    assert tab.complaints == []


def test_hostile_text_is_shown_as_text(site, open_page):
    lease = site.claimed_job(name=HOSTILE, labels={"team": HOSTILE})
    failure = Failure(
        code=ErrorCode.NON_FINITE_LOSS,
        message=HOSTILE,
        violations=(FieldViolation(field=HOSTILE, given=HOSTILE, allowed=HOSTILE),),
    )
    site.jobs.finish(lease, state=JobState.FAILED, failure=failure, message=HOSTILE)

    tab = open_page()
    tab.page.get_by_role("link", name=HOSTILE).click()

    expect(tab.page.locator("h1")).to_have_text(HOSTILE)
    expect(tab.page.get_by_role("group", name="Failure")).to_contain_text("NON_FINITE_LOSS")
    expect(tab.page.locator(".failure .message")).to_have_text(HOSTILE)
    expect(tab.page.locator(".events li").first).to_contain_text(HOSTILE)
    expect(tab.page.locator("main script, main img")).to_have_count(0)
    assert tab.complaints == []


def test_the_page_asks_nobody_but_its_own_server_and_logs_nothing(site, open_page):
    lease = site.claimed_job(name="measured")
    site.results.append_updates(lease, [update_record(1)])
    tab = open_page()
    tab.page.get_by_role("link", name="measured").click()
    expect(tab.page.locator("canvas")).to_be_visible()

    assert {urlsplit(address).netloc for address in tab.requested} == {urlsplit(site.url).netloc}
    assert tab.complaints == []
    policy = httpx.get(site.url).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy


def test_nothing_is_wider_than_a_narrow_screen(site, open_page):
    lease = site.claimed_job(name="n" * 200)
    site.results.append_updates(lease, [update_record(i) for i in range(1, 21)])
    for stage in ("baseline", "final", "teacher"):
        site.results.record_evaluation(lease, evaluation_record(stage, num_correct=(1, 2, 3, 4)))

    tab = open_page(width=390)
    expect(tab.page.locator("tbody tr")).to_have_count(1)
    width_of_list = tab.page.evaluate("document.documentElement.scrollWidth")
    tab.page.get_by_role("link", name="nnn").click()
    expect(tab.page.locator("canvas")).to_be_visible()
    width_of_job = tab.page.evaluate("document.documentElement.scrollWidth")

    assert (width_of_list, width_of_job) == (390, 390)


def test_a_job_is_cancelled_after_a_question(site, open_page):
    lease = site.claimed_job()
    tab = open_page(f"#/jobs/{lease.job_id}")

    tab.page.get_by_role("button", name="Cancel job").click()
    assert site.jobs.get(lease.job_id).state == JobState.RUNNING
    tab.page.get_by_role("button", name="Cancel the job").click()

    expect(tab.page.locator(".state-line")).to_contain_text("cancelling")
    assert site.jobs.get(lease.job_id).state == JobState.CANCELLING


def test_a_job_is_paused_and_resumed(site, open_page):
    lease = site.claimed_job()
    tab = open_page(f"#/jobs/{lease.job_id}")

    tab.page.get_by_role("button", name="Pause").click()
    expect(tab.page.locator(".state-line")).to_contain_text("pausing")
    tab.page.get_by_role("button", name="Resume").click()
    expect(tab.page.locator(".state-line")).to_contain_text("running")

    assert site.jobs.get(lease.job_id).state == JobState.RUNNING
    expect(tab.page.get_by_role("button", name="Pause")).to_be_visible()


def test_without_the_api_the_page_keeps_its_data_and_says_since_when(site, open_page):
    site.claimed_job(name="kept")
    tab = open_page()
    expect(tab.page.locator("tbody tr")).to_have_count(1)

    site.stop()

    expect(tab.page.locator("#banner")).to_contain_text(
        re.compile(r"No answer from the API since \d\d:\d\d:\d\d\.")
    )
    expect(tab.page.locator("tbody tr")).to_contain_text("kept")


def test_the_line_on_the_empty_page_submits_a_job(site, open_page):
    tab = open_page()
    command = shlex.split(tab.page.locator("pre").inner_text())
    assert command[:4] == ["curl", "-X", "POST", f"{site.url}/v1/jobs"]

    answer = httpx.post(command[3], json=json.loads(command[-1]))

    assert answer.status_code == 201, answer.text


def test_an_api_key_is_asked_for_and_sent(serve, browser):
    key = "a-long-and-secret-key"
    site = serve(api_key_sha256=(hashlib.sha256(key.encode()).hexdigest(),))
    site.claimed_job(name="behind a key")
    page = browser.new_page()
    page.goto(site.url)

    page.get_by_label("API key").fill(key)
    # As when the tab comes back from behind a password manager.
    with page.expect_response("**/v1/jobs*"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_role("button", name="Continue").click()

    expect(page.locator("tbody tr")).to_contain_text("behind a key")
    page.close()
