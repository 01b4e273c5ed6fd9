import pytest

from service.errors import ErrorCode
from worker.exports.failures import export_failed
from worker.exports.source import size_text


def test_a_failure_has_the_first_line_of_the_reason_without_the_secrets_in_it():
    error = ValueError("Bad key 'abcdef' or 'abc'\n\nDebug source: abcdef")
    failure = export_failed("It was not taken", error, secrets=["abc", "abcdef", ""])
    assert failure.code is ErrorCode.EXPORT_FAILED
    assert failure.message == "It was not taken: Bad key '[secret]' or '[secret]'."


def test_an_error_without_words_is_named_by_its_kind():
    assert export_failed("It was not taken", OSError()).message == "It was not taken: OSError."


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_000_000, "1.2 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_said_in_the_largest_unit_that_fits(num_bytes, text):
    assert size_text(num_bytes) == text
