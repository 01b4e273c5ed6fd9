import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.state import JobState
from service.storage.page_tokens import PagedList, place_of_text, text_of_place
from service.storage.row_ids import is_id

JOB_ID = "0" * 32
SAMPLES = PagedList("samples", job_id=JOB_ID, stage="final", benchmark=None)


@pytest.mark.parametrize(
    "other",
    [
        PagedList("deliveries", job_id=JOB_ID, stage="final", benchmark=None),
        PagedList("samples", job_id="1" * 32, stage="final", benchmark=None),
        PagedList("samples", job_id=JOB_ID, stage="baseline", benchmark=None),
        PagedList("samples", job_id=JOB_ID, stage=None, benchmark="final"),
        PagedList("samples", job_id=JOB_ID, stage="final", benchmark="None"),
        PagedList("samples"),
    ],
)
def test_a_place_is_given_back_by_its_own_list_alone(other):
    token = SAMPLES.token("final", 3)

    assert SAMPLES.place(token, types=(str, int)) == ["final", 3]
    with pytest.raises(DriftgateError, match="page_token is not one that") as refusal:
        other.place(token, types=(str, int))
    assert refusal.value.code is ErrorCode.INVALID_ARGUMENT
    assert [each.field for each in refusal.value.violations] == ["page_token"]


def test_the_order_in_which_filters_are_named_does_not_matter():
    one = PagedList("jobs", states=(JobState.QUEUED,), model=None)
    same = PagedList("jobs", model=None, states=["queued"])

    assert one.token(1) == same.token(1)


def test_a_token_does_not_grow_with_the_query():
    long = PagedList("samples", problem_id="p" * 500)

    assert len(long.token(JOB_ID)) == len(SAMPLES.token(JOB_ID)) < 100


def test_a_time_comes_back_in_utc_with_its_id():
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    token = SAMPLES.token_of_time(at, JOB_ID)

    found = SAMPLES.time_and_id(token, is_id=is_id)

    assert found == (datetime(2026, 1, 1, 10, tzinfo=UTC), JOB_ID)
    assert SAMPLES.row_id(SAMPLES.token(JOB_ID), is_id=is_id) == JOB_ID


@pytest.mark.parametrize(
    "place",
    [
        (1, JOB_ID),
        ("yesterday", JOB_ID),
        ("0001-01-01T00:00:00+23:00", JOB_ID),
        ("2026-01-01T00:00:00+00:00", "\0"),
        ("2026-01-01T00:00:00+00:00", "no id"),
        ("2026-01-01T00:00:00+00:00",),
    ],
)
def test_a_token_of_this_list_with_another_place_is_refused(place):
    with pytest.raises(DriftgateError, match="page_token"):
        SAMPLES.time_and_id(SAMPLES.token(*place), is_id=is_id)


def test_a_token_of_this_list_with_an_id_that_is_none_is_refused():
    with pytest.raises(DriftgateError, match="page_token"):
        SAMPLES.row_id(SAMPLES.token("no id"), is_id=is_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é",
        "x",
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(json.dumps({"a": 1}).encode()).decode(),
        text_of_place(["a"]),
        text_of_place(["a", "b"]),
        text_of_place(["a", True]),
        text_of_place(["a\0", 1]),
        text_of_place(["\ud800", 1]),
        text_of_place(["a", 2**63]),
    ],
)
def test_text_that_is_no_place_or_none_that_a_database_can_compare_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 it has no words: callers have their own
        place_of_text(text, types=(str, int))
