"""How a teacher's server fails a job: each with what was seen, and what to do."""

from service.errors import DriftgateError, ErrorCode


def invalid(reason: str) -> DriftgateError:
    """TEACHER_INVALID: the clause says what is wrong with the server, and what to do."""
    return DriftgateError(
        ErrorCode.TEACHER_INVALID, f"The teacher's server cannot be used: {reason}."
    )


def other_vocabulary(reason: str) -> DriftgateError:
    """VOCABULARY_MISMATCH: the clause says in what the server's token ids differ."""
    return DriftgateError(
        ErrorCode.VOCABULARY_MISMATCH,
        f"The teacher's server does not share the student's token ids: {reason}. The teacher scores the student's "
        "token ids, so choose two models with one tokenizer.",
    )


def unavailable(url: str, outage: Exception, *, patience_s: float) -> DriftgateError:
    """TEACHER_UNAVAILABLE, with what was seen last."""
    return DriftgateError(
        ErrorCode.TEACHER_UNAVAILABLE,
        f"The teacher's server {url} was away for {patience_s:g} s (DRIFTGATE_TEACHER_PATIENCE_S), at last: "
        f"{outage}. Start it again, or cancel the job.",
    )
