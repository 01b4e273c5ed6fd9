from http import HTTPStatus

import grpc

from service.error_catalogue import CATALOGUE
from service.errors import ErrorCode


def test_every_code_has_an_entry_that_both_transports_know():
    assert set(CATALOGUE) == set(ErrorCode)
    for entry in CATALOGUE.values():
        assert 400 <= HTTPStatus(entry.http_status) < 600
        assert entry.grpc_code in grpc.StatusCode.__members__
        assert entry.retryable or entry.http_status != HTTPStatus.SERVICE_UNAVAILABLE
