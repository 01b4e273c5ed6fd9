import json
import re
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from service.api_keys import Authenticator
from service.cli import app
from service.errors import DriftgateError
from service.jobs.access import Scope
from service.settings import load_settings
from service.storage.api_key_store import ApiKeyStore
from service.storage.sessions import Database


@pytest.fixture
def keys_on(monkeypatch):
    """`driftgate keys …` on a database that nobody has prepared."""

    def run_on(url):
        monkeypatch.setenv("DRIFTGATE_DATABASE_URL", url)
        load_settings.cache_clear()
        return lambda *arguments: CliRunner().invoke(app, ["keys", *arguments])

    yield run_on
    load_settings.cache_clear()


def listed(keys) -> list[dict]:
    return [json.loads(line) for line in keys("list", "--json").stdout.splitlines()]


def test_a_first_admin_key_is_made_used_listed_and_revoked(keys_on, empty_database_url):
    keys = keys_on(empty_database_url)
    made = keys("create", "--name", "me", "--scope", "admin", "--expires-in-days", "7")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()  # alone, so that a script can take it
    assert re.fullmatch(r"dg_[A-Za-z0-9_\-]{43}", key)

    database = Database(empty_database_url)
    authenticator = Authenticator(ApiKeyStore(database), load_settings())
    assert authenticator.authenticate(f"Bearer {key}").scope is Scope.ADMIN

    (entry,) = listed(keys)
    assert (entry["name"], entry["scope"], entry["key_start"]) == ("me", "admin", key[:12])
    created_at, expires_at = (
        datetime.fromisoformat(entry[name]) for name in ("created_at", "expires_at")
    )
    assert expires_at - created_at == timedelta(days=7)
    table = keys("list").stdout
    assert entry["id"] in table
    assert "accepted" in table
    assert key not in table + json.dumps(entry)

    assert keys("revoke", entry["id"]).exit_code == 0
    assert keys("revoke", entry["id"]).exit_code == 0
    assert "revoked" in keys("list").stdout
    authenticator.forget()
    with pytest.raises(DriftgateError, match="unknown, expired or revoked"):
        authenticator.authenticate(f"Bearer {key}")
    database.close()


def test_a_refusal_is_a_sentence_and_makes_no_key(keys_on, empty_sqlite_url):
    keys = keys_on(empty_sqlite_url)
    for arguments in (
        ("create", "--name", "x" * 201, "--scope", "admin"),
        ("create", "--name", "me", "--scope", "admin", "--expires-in-days", "0"),
        ("create", "--name", "me", "--scope", "read", "--max-streams", "0"),
        ("revoke", "0" * 32),
    ):
        refused = keys(*arguments)
        assert refused.exit_code == 1
        assert refused.stdout == ""
        assert refused.stderr.startswith("driftgate: ")
        assert "Traceback" not in refused.output
    assert keys("create", "--name", "me", "--scope", "root").exit_code == 2
    assert listed(keys) == []


def test_a_name_steers_no_terminal(keys_on, empty_sqlite_url):
    keys = keys_on(empty_sqlite_url)
    keys("create", "--name", "[red]\u009b31mname\u202e", "--scope", "read")
    assert "[red]�31mname�" in keys("list").stdout
