"""A command's connection to the service, and what the user reads where the service does not answer."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import httpx
import typer
from pydantic import ValidationError

from service.client import Client
from service.errors import DriftgateError, ErrorCode, Violation, without_user_info
from service.jobs.results import Job
from service.jobs.state import JobState
from service.settings import load_settings

LATEST = "latest"
JOB_ID = re.compile(r"^[0-9a-f]{32}$")
MIN_PREFIX_CHARACTERS = 4
MAX_PAGE_SIZE = 1000
MAX_NAMED_JOBS = 5


@contextmanager
def connected(url: str | None) -> Iterator[Client]:
    """A client of the service at `url` or the setting; whatever it refuses ends the command with status 1."""
    settings = load_settings()
    url = url or settings.url
    api_key = settings.api_key.get_secret_value() if settings.api_key else None
    shown_url = without_user_info(url)
    try:
        with Client(url, api_key=api_key) as client:
            # Asked once: a service that is not there is reported at once, one that goes away is waited for.
            client.check_health()
            yield client
    except DriftgateError as refusal:
        _say(str(refusal), *_unsaid(refusal))
        raise typer.Exit(1) from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        _say(
            f"Nothing answers at {shown_url} ({error}). Start the service with `driftgate up`, or name "
            "another with --url or DRIFTGATE_URL."
        )
        raise typer.Exit(1) from None
    except (httpx.TransportError, httpx.InvalidURL) as error:
        _say(f"{shown_url} does not answer as it should: {error or type(error).__name__}")
        raise typer.Exit(1) from None
    except ValidationError as error:
        _say(
            f"{shown_url} answered in a form that this version does not know: {error.title} has "
            f"{error.error_count()} wrong fields. Use the client of the service's version."
        )
        raise typer.Exit(1) from None


def find_job(client: Client, reference: str) -> Job:
    """The job of an id, of the unique beginning of one among the newest jobs, or the newest (`latest`)."""
    if reference == LATEST:
        for job in client.iterate(page_size=1):
            return job
        raise DriftgateError(ErrorCode.JOB_NOT_FOUND, "There is no job yet.")
    if JOB_ID.match(reference):
        return client.get(reference)
    if len(reference) < MIN_PREFIX_CHARACTERS:
        raise _no_job(
            reference, f"{MIN_PREFIX_CHARACTERS} characters of an id or more, or {LATEST}"
        )
    # All of them, for the beginning may be another's too. Of long specs there are few to a page.
    newest = islice(client.iterate(page_size=MAX_PAGE_SIZE), MAX_PAGE_SIZE)
    found = [job for job in newest if job.id.startswith(reference)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise _no_job(reference, f"the beginning of an id of the newest {MAX_PAGE_SIZE:,} jobs")
    some = ", ".join(job.id for job in found[:MAX_NAMED_JOBS])
    more = f" and {len(found) - MAX_NAMED_JOBS:,} more" if len(found) > MAX_NAMED_JOBS else ""
    raise _no_job(reference, f"more characters, for it is the beginning of {some}{more}")


def newest_jobs(
    client: Client,
    *,
    limit: int,
    states: Iterable[JobState],
    labels: Iterable[str],
    model: str | None,
) -> Sequence[Job]:
    """At most `limit` jobs, newest first. labels: `key=value`, all of them."""
    wanted = dict(map(_label, labels))
    page_size = min(limit, MAX_PAGE_SIZE)
    found = client.iterate(states=states, labels=wanted, model=model, page_size=page_size)
    return tuple(islice(found, limit))


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if equals:
        return key, value
    raise DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"--label: given {text}, allowed: KEY=VALUE.",
        [Violation("--label", text, "KEY=VALUE")],
    )


def _no_job(reference: str, allowed: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.JOB_NOT_FOUND,
        f"{reference!r} names no one job. Allowed: {allowed}.",
    )


def _unsaid(refusal: DriftgateError) -> Iterator[str]:
    """The violations, a line each, unless the message is about the only one."""
    violations = refusal.violations
    if len(violations) == 1 and violations[0].given in refusal.message:
        return
    for one in violations:
        yield f"  {one.field}: given {one.given}; allowed: {one.allowed}"


def _say(sentence: str, *lines: str) -> None:
    typer.echo("\n".join([f"driftgate: {sentence}", *lines]), err=True)
