"""`Prefer: wait=SECONDS` (RFC 7240): how long a client would have an answer held back for news."""

import re
from typing import Annotated

from fastapi import Header

MAX_WAIT_S = 60
WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE | re.ASCII)

Prefer = Annotated[
    str | None,
    Header(
        description=f"`wait=SECONDS`, {MAX_WAIT_S} at most: hold the answer back until there is news.",
        examples=["wait=30"],
    ),
]


def preferred_wait_s(prefer: str | None) -> int | None:
    """None where no wait was asked for; a preference that cannot be read is ignored, as the RFC asks for."""
    match = WAIT.search(prefer or "")
    return None if match is None else min(int(match[1]), MAX_WAIT_S)


def preference_applied(wait_s: int | None) -> dict[str, str]:
    """The header that says how long a wait was granted."""
    return {} if wait_s is None else {"Preference-Applied": f"wait={wait_s}"}
