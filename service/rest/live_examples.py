"""Answers about several jobs that dashboards follow, as the OpenAPI description shows them."""

from service.jobs.results import JobBatch, JobChange, JobChanges
from service.rest.job_answer_examples import EXAMPLE_JOB
from service.rest.job_examples import EXAMPLE_JOB_ID

EXAMPLE_TOKEN = "WzgxNCwgIjAxOTlhOGMyZjNkMDdjNGU5YjFkNWU2ZjdhOGI5YzBkIl0="

EXAMPLE_BATCH = JobBatch(jobs=(EXAMPLE_JOB,), missing=("0199a8c2f3d07c4e9b1d5e6f7a8b9c0e",))
EXAMPLE_CHANGES = JobChanges(
    changes=(JobChange(job_id=EXAMPLE_JOB_ID, job=EXAMPLE_JOB),), next_after=EXAMPLE_TOKEN
)
EXAMPLE_WATCH = f"""\
id: {EXAMPLE_TOKEN}
retry: 2000

event: changed
data: {{"job_id":"{EXAMPLE_JOB_ID}","job":null}}
id: {EXAMPLE_TOKEN}

"""
