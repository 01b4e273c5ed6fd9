import itertools

import numpy as np
import pytest

from service.statistics.counts import Counts
from service.statistics.planner import Pilot, plan_samples, resolvable_difference
from tests.service.statistics.difficulties import SPIKED, U_SHAPED, draw_chances, sample_counts

NAMES = ("AIME24", "AIME25", "MATH500", "AMC23")
# AIME's responses are longer.
TOKENS = (1_500.0, 1_500.0, 1_000.0, 1_200.0)
CHALLENGE = 0.5160 - 0.4978


def pilots_of(setting, *, n=64):
    generator = np.random.default_rng(5)
    return [
        Pilot(name, sample_counts(chances, n, generator), tokens)
        for name, chances, tokens in zip(
            NAMES, draw_chances(setting, generator), TOKENS, strict=True
        )
    ]


PILOTS = {"u_shaped": pilots_of(U_SHAPED), "spiked": pilots_of(SPIKED)}


def resolve(pilots, *samples, k=8):
    return resolvable_difference(pilots, k, samples_per_problem=samples)


@pytest.mark.parametrize("setting", PILOTS)
def test_8_samples_give_the_difference_a_standard_error_of_about_2_points(setting):
    standard_error = resolve(PILOTS[setting], 8, 8, 8, 8).smallest_resolvable_difference / 2.8
    assert 0.012 <= standard_error <= 0.030


@pytest.mark.parametrize("setting", PILOTS)
def test_8_samples_cannot_separate_the_published_gain_and_128_can(setting):
    pilots = PILOTS[setting]
    assert resolve(pilots, 8, 8, 8, 8).smallest_resolvable_difference > 1.8 * CHALLENGE
    assert resolve(pilots, 128, 128, 128, 128).smallest_resolvable_difference < CHALLENGE


@pytest.mark.parametrize("setting", PILOTS)
def test_nearly_all_the_variance_comes_from_the_100_aime_and_amc_problems(setting):
    shares = {
        plan.benchmark: plan.variance_share
        for plan in resolve(PILOTS[setting], 8, 8, 8, 8).benchmarks
    }
    assert sum(shares.values()) == pytest.approx(1.0)
    assert 0.94 <= 1.0 - shares["MATH500"] <= 0.995


@pytest.mark.parametrize("setting", PILOTS)
def test_128_there_and_16_on_math500_cost_a_third_of_128_and_resolve_nearly_as_much(setting):
    pilots = PILOTS[setting]
    everywhere, uneven = resolve(pilots, 128, 128, 128, 128), resolve(pilots, 128, 128, 16, 128)
    assert uneven.cost_tokens / everywhere.cost_tokens == pytest.approx(1 / 3, abs=0.05)
    assert uneven.smallest_resolvable_difference < 1.2 * everywhere.smallest_resolvable_difference


@pytest.mark.parametrize("setting", PILOTS)
def test_a_plan_reaches_its_target_for_less_than_equal_samples_would(setting):
    pilots = PILOTS[setting]
    plan = plan_samples(pilots, 8, target_difference=CHALLENGE)
    samples = {one.benchmark: one.samples_per_problem for one in plan.benchmarks}
    assert plan.reaches_target
    assert 0.95 * CHALLENGE <= plan.smallest_resolvable_difference <= CHALLENGE
    assert samples["MATH500"] <= 16 < samples["AIME24"]
    assert plan.cost_tokens == sum(one.cost_tokens for one in plan.benchmarks)
    equal = next(
        equal
        for n in range(8, 4_097, 4)
        if (equal := resolve(pilots, n, n, n, n)).smallest_resolvable_difference <= CHALLENGE
    )
    assert plan.cost_tokens < 0.6 * equal.cost_tokens


def test_what_a_plan_promises_is_what_its_samples_resolve():
    pilots = PILOTS["u_shaped"]
    plan = plan_samples(pilots, 8, target_difference=0.03, power=0.9)
    again = resolvable_difference(
        pilots, 8, samples_per_problem=[b.samples_per_problem for b in plan.benchmarks], power=0.9
    )
    assert again.smallest_resolvable_difference == pytest.approx(
        plan.smallest_resolvable_difference
    )
    assert again.cost_tokens == plan.cost_tokens


def test_no_pair_of_sample_numbers_reaches_the_target_much_cheaper():
    pilots = [pilot for pilot in PILOTS["spiked"] if pilot.benchmark in {"AIME24", "MATH500"}]
    plan = plan_samples(pilots, 8, target_difference=0.03)
    cheapest = min(
        found.cost_tokens
        for pair in itertools.product(range(8, 129, 4), range(8, 33, 2))
        if (found := resolve(pilots, *pair)).smallest_resolvable_difference <= 0.03
    )
    assert plan.cost_tokens <= 1.06 * cheapest


def test_pass_at_1_needs_four_times_the_samples_for_half_the_difference():
    # The variance of a share is that of one sample over n.
    pilots = PILOTS["u_shaped"]
    few, many = resolve(pilots, 8, 8, 8, 8, k=1), resolve(pilots, 32, 32, 32, 32, k=1)
    assert many.smallest_resolvable_difference == pytest.approx(
        few.smallest_resolvable_difference / 2
    )


def test_a_target_that_no_samples_reach_is_said_to_be_out_of_reach():
    plan = plan_samples(PILOTS["u_shaped"], 8, target_difference=1e-4)
    assert not plan.reaches_target
    assert {one.samples_per_problem for one in plan.benchmarks} == {4_096}
    assert plan.smallest_resolvable_difference > 1e-4


def test_an_easy_target_takes_no_more_samples_than_k():
    plan = plan_samples(PILOTS["u_shaped"], 8, target_difference=0.5)
    assert {one.samples_per_problem for one in plan.benchmarks} == {8}


def test_a_pilot_may_have_fewer_samples_than_k():
    pilot = Pilot("AMC23", Counts(n=(4,) * 40, c=(0, 1, 2, 4) * 10), 900.0)
    plan = plan_samples([pilot], 8, target_difference=0.1)
    assert plan.reaches_target
    assert plan.benchmarks[0].samples_per_problem >= 8


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (lambda pilot: plan_samples([], 8, target_difference=0.1), "given none"),
        (lambda pilot: plan_samples([pilot], 8, target_difference=0.0), "must be above 0"),
        (lambda pilot: plan_samples([pilot], 0, target_difference=0.1), "from 1 to 4096"),
        (lambda pilot: resolve([pilot], 4), "4 samples per problem, but pass@8 needs 8 to 4096"),
        (lambda pilot: resolve([pilot], 8, 8), "each of 1 pilots, given 2"),
        (lambda pilot: Pilot("AIME24", pilot.counts, 0.0), r"costs 0\.0 tokens"),
    ],
)
def test_plans_without_a_meaning_are_refused(plan, message):
    with pytest.raises(ValueError, match=message):
        plan(PILOTS["spiked"][0])
