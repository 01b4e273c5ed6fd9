import pytest

from worker.evaluation.answers.units import mark_units, split_unit


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (r"10\text{ cm}^2", r"10\unit{cm}"),
        (r"12\pi \mbox{ inches}^{2}", r"12\pi\unit{inch}"),
        ("10 cm^2", r"10\unit{cm}"),
        (r"10 \text{ miles per hour}", r"10\unit{rate}"),
        (r"25 \mathrm{ km} / \mathrm{h}", r"25\unit{rate}"),
        ("25 km/h", r"25\unit{rate}"),
        (r"3\text{ cm}, 4\text{ cm}", r"3\unit{cm}, 4\unit{cm}"),
        (r"5\text{ apples}", "5"),
        ("5 apples", "5"),
        (r"210\text{ units}.", "210"),
    ],
)
def test_measures_are_kept_by_name_and_other_words_dropped(text, marked):
    assert mark_units(text) == marked


@pytest.mark.parametrize(
    "text",
    [
        r"12\text{ million}",
        "12 million",
        "5 factorial",
        r"5\text{ or more}",
        r"2\text{i}",
        r"3\mathrm{e}",
        r"10\text{ a.m.}",
        r"\text{Evelyn}",
        "10 m",
    ],
)
def test_words_that_may_change_the_number_stay(text):
    assert mark_units(text) == text


def test_a_unit_is_split_off_at_the_end_only():
    assert split_unit(r"10\unit{cm}") == ("10", "cm")
    assert split_unit(r"10\unit{cm}+x") == (r"10\unit{cm}+x", None)
