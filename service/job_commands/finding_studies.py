"""The study that a command is about, by its id, the beginning of it, or `latest`."""

from service.client import Client
from service.errors import DriftgateError, ErrorCode
from service.job_commands.sessions import JOB_ID, LATEST, MAX_PAGE_SIZE, MIN_PREFIX_CHARACTERS
from service.jobs.studies import Study


def find_study(client: Client, reference: str) -> Study:
    """Raises STUDY_NOT_FOUND for what names no study, or several."""
    if JOB_ID.match(reference):
        return client.study(reference)
    newest = client.studies(page_size=1 if reference == LATEST else MAX_PAGE_SIZE).studies
    if reference == LATEST:
        if not newest:
            raise DriftgateError(ErrorCode.STUDY_NOT_FOUND, "There is no study yet.")
        return client.study(newest[0].id)
    found = [one.id for one in newest if one.id.startswith(reference)]
    if len(reference) < MIN_PREFIX_CHARACTERS or len(found) != 1:
        raise DriftgateError(
            ErrorCode.STUDY_NOT_FOUND,
            f"{reference!r} names no one study: {len(found)} of the newest {MAX_PAGE_SIZE:,} begin with it. Allowed: "
            f"an id, {MIN_PREFIX_CHARACTERS} characters or more that begin one, or {LATEST}.",
        )
    return client.study(found[0])
