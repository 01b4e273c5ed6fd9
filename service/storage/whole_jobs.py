"""Several jobs with their specs, as many as one answer holds: problems may stand in a spec, eight megabytes of them."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import Row, Text, case, cast, func, select
from sqlalchemy.orm import Session

from service.jobs.parsing import ANY_JOB_SPEC
from service.jobs.results import Job
from service.storage.job_rows import job_view
from service.storage.tables import JobRow

# Of the specs of one answer, as they are stored.
MAX_CHARACTERS = 16 * 2**20
# A longer spec is not read with its row, but once it is known to fit: a thousand shorter ones are one answer's.
SHORT_CHARACTERS = 16_384

# Without the mapping to an object, which costs more than the read.
_JOBS = JobRow.__table__.c
_NUM_CHARACTERS = func.length(cast(_JOBS.spec, Text))
# Of a job, for `whole_jobs`; spec is null where it is long.
COLUMNS = (
    *(column for column in _JOBS if column is not _JOBS.spec),
    _NUM_CHARACTERS.label("spec_characters"),
    case((_NUM_CHARACTERS <= SHORT_CHARACTERS, _JOBS.spec)).label("spec"),
)


def num_that_fit(spec_characters: Sequence[int]) -> int:
    """How many of the first jobs one answer holds; one is always held."""
    return max(1, sum(total <= MAX_CHARACTERS for total in accumulate(spec_characters)))


def whole_jobs(session: Session, rows: Sequence[Row[Any]]) -> dict[str, Job]:
    """By id, in the order of the rows; without a job that was deleted after its row was read."""
    long_ids = [row.id for row in rows if row.spec is None]
    specs = {row.id: row.spec for row in rows if row.spec is not None}
    if long_ids:
        query = select(JobRow.id, JobRow.spec).where(JobRow.id.in_(long_ids))
        specs |= {row.id: row.spec for row in session.execute(query)}
    return {
        row.id: job_view(row, spec=ANY_JOB_SPEC.validate_python(specs[row.id]))
        for row in rows
        if row.id in specs
    }
