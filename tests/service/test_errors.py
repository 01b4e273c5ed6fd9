import copy
import pickle

import pytest

from service.errors import DriftgateError, ErrorCode, Violation, without_user_info


def test_an_error_survives_pickling_with_all_that_it_says():
    error = DriftgateError(
        ErrorCode.RATE_LIMITED, "Wait.", [Violation("a", "1", "2")], retry_after_s=1.5
    )
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (again.code, again.message, again.violations, again.retry_after_s) == (
            ErrorCode.RATE_LIMITED,
            "Wait.",
            (Violation("a", "1", "2"),),
            1.5,
        )
        assert str(again) == "RATE_LIMITED: Wait."


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:password@host/path", "https://***@host/path"),
        ("https://token@host", "https://***@host"),
        ("redis://:password@host:6379/0", "redis://***@host:6379/0"),
        ("https://user:pass@word@host/", "https://***@host/"),
        ("https://user:pass/word@host/", "https://***@host/"),
        ("abfs://user:password@host/path", "abfs://***@host/path"),
        ("abfs://container@account.dfs.core.windows.net/path", None),
        ("https://host:8400/@path", None),
        ("http://[::1]:8400/a@b", None),
        ("s3://bucket/a@b", None),
    ],
)
def test_the_user_info_of_a_url_is_not_shown_and_all_else_is(url, shown):
    sentence = f"The url is '{shown or url}', a@b."
    assert without_user_info(f"The url is '{url}', a@b.") == sentence
    assert without_user_info(sentence) == sentence


def test_an_error_shows_no_user_info_of_a_url_whatever_it_was_made_with():
    url = "https://user:password@host/"
    error = DriftgateError(
        ErrorCode.INVALID_ARGUMENT, f"Not {url}.", [Violation("url", url, "none")]
    )
    assert error.message == "Not https://***@host/."
    assert error.violations == (Violation("url", "https://***@host/", "none"),)
    assert "password" not in repr(error)
