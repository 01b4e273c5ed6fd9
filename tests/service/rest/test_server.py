import os
import signal
import subprocess
import sys

import httpx
import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.api_keys import ApiKeyRequest
from service.rest.server import serve
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database

PROGRAM = "from service.rest.server import serve; from service.settings import Settings; serve(Settings())"


def test_the_server_answers_until_it_is_told_to_stop(
    sqlite_url, redis_url, unused_port, wait_until, tmp_path
):
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=os.environ
        | {
            "DRIFTGATE_DATA_DIR": str(tmp_path),
            "DRIFTGATE_DATABASE_URL": sqlite_url,
            "DRIFTGATE_BROKER_URL": redis_url,
            "DRIFTGATE_HTTP_PORT": str(unused_port),
        },
    )
    try:
        address = f"http://127.0.0.1:{unused_port}"
        wait_until(lambda: answers(f"{address}/healthz"))
        assert httpx.get(f"{address}/v1/jobs").json() == {"jobs": [], "next_page_token": None}
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) in (0, -signal.SIGTERM)
    finally:
        server.kill()


def test_it_refuses_to_listen_for_everyone_without_a_key(settings_factory):
    with pytest.raises(DriftgateError) as caught:
        serve(settings_factory(http_host="0.0.0.0"))
    assert caught.value.code is ErrorCode.UNSAFE_BIND


def answers(address):
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


def test_with_a_key_in_the_database_it_listens_for_everyone_and_logs_no_key(
    sqlite_url, redis_url, unused_port, wait_until, tmp_path
):
    database = Database(sqlite_url)
    key = ApiKeyStore(database).create(ApiKeyRequest(name="me", scope="admin")).key
    database.close()
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=os.environ
            | {
                "DRIFTGATE_DATA_DIR": str(tmp_path),
                "DRIFTGATE_DATABASE_URL": sqlite_url,
                "DRIFTGATE_BROKER_URL": redis_url,
                "DRIFTGATE_HTTP_HOST": "0.0.0.0",
                "DRIFTGATE_HTTP_PORT": str(unused_port),
            },
            stdout=output,
            stderr=output,
        )
    try:
        address = f"http://127.0.0.1:{unused_port}"
        wait_until(lambda: answers(f"{address}/healthz"))
        wrong = f"{key[:-1]}{'b' if key[-1] == 'a' else 'a'}"
        statuses = [
            httpx.get(f"{address}/v1/jobs", headers={"authorization": f"Bearer {each}"}).status_code
            for each in (key, wrong)
        ]
        made = httpx.post(
            f"{address}/v1/api-keys",
            json={"name": "another", "scope": "read"},
            headers={"authorization": f"Bearer {key}"},
        )
        assert [*statuses, made.status_code] == [200, 401, 201]
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)
    finally:
        server.kill()
    written = log.read_text()
    assert "Uvicorn running" in written
    for secret in (key, wrong, made.json()["key"]):
        assert secret[3:] not in written
