"""Ids of rows that grow with time: of jobs, studies, API keys, webhooks and deliveries."""

import secrets
import time


def new_id() -> str:
    """32 hex digits that sort by time: a UUIDv7 whose rand_a counts within the millisecond."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    within = nanoseconds * 4096 // 1_000_000
    number = (milliseconds << 80) | (0x7 << 76) | (within << 64) | (0b10 << 62)
    return f"{number | secrets.randbits(62):032x}"


def is_id(row_id: object) -> bool:
    """Whether a row could have this id."""
    return isinstance(row_id, str) and len(row_id) == 32 and set(row_id) <= set("0123456789abcdef")
