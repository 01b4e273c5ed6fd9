"""`driftgate keys`: API keys made and revoked on the server itself, in its database.

So the first key of a server is made: over the network it would belong to whoever came first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.errors import DriftgateError
from service.jobs.access import Scope
from service.settings import load_settings

if TYPE_CHECKING:
    from service.jobs.api_keys import ApiKey
    from service.storage.api_key_store import ApiKeyStore

PAGE_SIZE = 1000

app = typer.Typer(help="API keys, in the database that the settings name.", no_args_is_help=True)


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    scope: Annotated[Scope, typer.Option(help="What it may do; each holds the one before it.")],
    expires_in_days: Annotated[int | None, typer.Option(help="Never expires if unset.")] = None,
    max_queued_jobs: Annotated[int | None, typer.Option(help="The server's if unset.")] = None,
    max_requests_per_minute: Annotated[
        int | None, typer.Option(help="The server's if unset.")
    ] = None,
    max_streams: Annotated[int | None, typer.Option(help="The server's if unset.")] = None,
) -> None:
    """Make a key and print it, this once, alone on standard output."""
    from service.jobs.api_keys import ApiKeyRequest  # noqa: PLC0415
    from service.jobs.parsing import parse_request  # noqa: PLC0415

    fields = {
        "name": name,
        "scope": scope,
        "expires_in_days": expires_in_days,
        "max_queued_jobs": max_queued_jobs,
        "max_requests_per_minute": max_requests_per_minute,
        "max_streams": max_streams,
    }
    with _store() as store:
        created = store.create(parse_request(ApiKeyRequest, fields))
    typer.echo(
        f"API key {created.api_key.id} of scope {scope}. The key is not shown again:", err=True
    )
    typer.echo(created.key)


@app.command("list")
def list_keys(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show all keys, newest first; never a key itself."""
    with _store() as store:
        if as_json:
            for api_key in _all_keys(store):
                typer.echo(api_key.model_dump_json())
        else:
            _print_table(list(_all_keys(store)))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
) -> None:
    """Revoke a key for good; servers that run refuse it within five seconds."""
    with _store() as store:
        store.revoke(key_id)
    typer.echo(f"API key {key_id} is revoked.")


@contextmanager
def _store() -> "Iterator[ApiKeyStore]":
    """The settings' database with its tables up to date: a first key is made before a server ever started."""
    from service.storage.api_key_store import ApiKeyStore  # noqa: PLC0415
    from service.storage.sessions import Database, migrate  # noqa: PLC0415

    url = load_settings().resolved_database_url()
    try:
        migrate(url)
        database = Database(url)
        try:
            yield ApiKeyStore(database)
        finally:
            database.close()
    except DriftgateError as refusal:
        typer.echo(f"driftgate: {refusal}", err=True)
        raise typer.Exit(1) from None


def _all_keys(store: "ApiKeyStore") -> "Iterator[ApiKey]":
    token: str | None = None
    while True:
        page = store.list_keys(limit=PAGE_SIZE, token=token)
        yield from page.api_keys
        token = page.next_page_token
        if token is None:
            return


def _print_table(api_keys: "list[ApiKey]") -> None:
    from service.job_commands.display import console, safe, table  # noqa: PLC0415

    keys = table("id", "name", "scope", "key", "expires", "last used", "state")
    for api_key in api_keys:
        keys.add_row(
            api_key.id,
            safe(api_key.name),
            api_key.scope,
            f"{api_key.key_start}…",
            _minute(api_key.expires_at),
            _minute(api_key.last_used_at),
            _state(api_key),
        )
    console().print(keys)


def _state(api_key: "ApiKey") -> str:
    now = datetime.now(UTC)
    if api_key.revoked_at is not None:
        return "revoked" if api_key.revoked_at <= now else f"until {_minute(api_key.revoked_at)}"
    if api_key.expires_at is not None and api_key.expires_at <= now:
        return "expired"
    return "accepted"


def _minute(time: datetime | None) -> str:
    return "never" if time is None else f"{time:%Y-%m-%d %H:%M}Z"
