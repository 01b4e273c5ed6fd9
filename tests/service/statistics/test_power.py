import pytest

from service.statistics.power import smallest_resolvable


def test_80_percent_power_takes_2_8_standard_errors():
    # z(.975) + z(.8) = 1.9600 + 0.8416.
    assert smallest_resolvable(1.0) == pytest.approx(2.8016, abs=1e-4)
    assert smallest_resolvable(0.02) == pytest.approx(0.056, abs=1e-3)


def test_even_chances_take_the_half_width_of_the_interval():
    assert smallest_resolvable(1.0, power=0.5) == pytest.approx(1.96, abs=1e-3)


@pytest.mark.parametrize("power", [0.49, 1.0])
def test_a_power_below_even_chances_or_of_certainty_is_refused(power):
    with pytest.raises(ValueError, match=r"must be from 0\.5 to below 1"):
        smallest_resolvable(1.0, power=power)
