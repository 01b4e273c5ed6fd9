import pytest

from service.preflight.answers import answer_fault
from service.preflight.published_catalogue import PUBLICATIONS
from tests.service.preflight.published_copies import needs_copies, rows_of


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "has no answer"),
        ("", "has no answer"),
        (" \t", "has no answer"),
        ("...", "only punctuation"),
        ("( , )", "only punctuation"),
        ("\\frac{1}{2", "not in pairs"),
        ("2}{", "not in pairs"),
        ("$5", "not in pairs"),
    ],
)
def test_an_answer_that_cannot_be_normalised_is_faulty(answer, fault):
    assert fault in answer_fault(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "0042",
        "-1",
        "\\$18.90",
        "$x^2$",
        "\\{1, 2\\}",
        "\\left\\{1\\right.",
        "∅",
        "(C)",
        "[0,\\infty)",
    ],
)
def test_escaped_braces_and_dollars_need_no_partner(answer):
    assert answer_fault(answer) is None


@needs_copies
@pytest.mark.parametrize("name", ["aime24", "aime25", "amc23", "math500", "math"])
def test_no_published_answer_is_refused(name):
    rows = rows_of(PUBLICATIONS[name].file_name)

    assert [row["id"] for row in rows if answer_fault(row["answer"])] == []
