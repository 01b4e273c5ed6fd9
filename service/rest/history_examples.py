"""What happened to a job, as the OpenAPI description shows it."""

from service.jobs.results import JobAttempts, JobEventPage
from service.rest.job_examples import EXAMPLE_JOB_ID

_WORKER = "worker-1:4711:b33f80d3"
_ENDED_AT = "2026-01-05T10:00:29Z"

EXAMPLE_ATTEMPTS = JobAttempts.model_validate(
    {
        "job_id": EXAMPLE_JOB_ID,
        "attempts": [
            {
                "number": 1,
                "worker": _WORKER,
                "started_at": "2026-01-05T10:00:02Z",
                "ended_at": _ENDED_AT,
                "resumed_from_update": 0,
                "newest_checkpoint_update": 60,
                "outcome": "Everything is done.",
            }
        ],
    }
)
EXAMPLE_EVENT_PAGE = JobEventPage.model_validate(
    {
        "events": [
            {
                "seq": 1,
                "at": "2026-01-05T10:00:00Z",
                "type": "state_changed",
                "state": "queued",
                "attempt": 0,
                "message": "Submitted.",
            },
            {
                "seq": 2,
                "at": "2026-01-05T10:00:02Z",
                "type": "state_changed",
                "state": "starting",
                "attempt": 1,
                "message": f"Claimed by {_WORKER}.",
            },
        ],
        "next_after": 2,
    }
)
EXAMPLE_EVENT_STREAM = f"""\
retry: 2000

event: evaluation_recorded
data: {{"seq":44,"at":"{_ENDED_AT}","type":"evaluation_recorded","state":"running","attempt":1,\
"message":"Evaluated final on arithmetic: 200 problems, 8 samples each."}}
id: 44

: heartbeat

event: state_changed
data: {{"seq":46,"at":"{_ENDED_AT}","type":"state_changed","state":"succeeded","attempt":1,\
"message":"Everything is done."}}
id: 46

event: end
data: {{"reason": "job_ended"}}

"""
