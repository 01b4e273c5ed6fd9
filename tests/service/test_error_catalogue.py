from http import HTTPStatus
from pathlib import Path

import grpc

from service.error_catalogue import CATALOGUE
from service.errors import ErrorCode


def test_every_code_has_an_entry_that_both_transports_know():
    assert set(CATALOGUE) == set(ErrorCode)
    for entry in CATALOGUE.values():
        assert 400 <= HTTPStatus(entry.http_status) < 600
        assert entry.grpc_code in grpc.StatusCode.__members__
        assert entry.retryable or entry.http_status != HTTPStatus.SERVICE_UNAVAILABLE


def test_the_page_of_errors_says_what_the_catalogue_says():
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{code}` | {entry.http_status} | `{entry.grpc_code}` | "
        f"{'yes' if entry.retryable else 'no'} | {entry.meaning} |"
        for code, entry in CATALOGUE.items()
    ]
