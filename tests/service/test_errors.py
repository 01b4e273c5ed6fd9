import copy
import pickle

from service.errors import DriftgateError, ErrorCode, Violation


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
