import pytest

from service.statistics.student_t import student_t_quantile, student_t_share


@pytest.mark.parametrize(
    ("degrees", "expected"),
    # Printed tables of Student's t, 97.5 %.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042)],
)
def test_quantiles_are_those_of_the_tables(degrees, expected):
    assert student_t_quantile(0.975, degrees) == pytest.approx(expected, abs=5e-4)


def test_many_degrees_are_the_normal_distribution():
    assert student_t_quantile(0.975, 5_000) == pytest.approx(1.95996, abs=1e-3)


def test_half_of_all_lies_below_zero_and_one_degree_is_cauchys():
    assert student_t_share(0.0, 7) == 0.5
    # ½ + atan(1) / π = ¾.
    assert student_t_share(1.0, 1) == pytest.approx(0.75)


@pytest.mark.parametrize(("probability", "degrees"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_what_has_no_quantile_is_refused(probability, degrees):
    with pytest.raises(ValueError, match="must be"):
        student_t_quantile(probability, degrees)
