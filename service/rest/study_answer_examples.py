"""A study from its plan to its first results, as the OpenAPI description shows it."""

from typing import Any

from service.jobs.studies import Study, StudyEventPage, StudyPage, StudyPlan
from service.rest.study_examples import EXAMPLE_STUDY

STUDY_ID = "0199a8c410007c4e9b1d5e6f7a8b9c20"

_ARMS = ("ungated", "block", "shuffled-gate")
_JOB_IDS = [f"0199a8c41{number:03}7c4e9b1d5e6f7a8b9c2{number}" for number in (1, 2, 3)]
_PENDING = {
    "job_id": None,
    "state": "pending",
    "step": 0,
    "total_steps": 30,
    "collapsed": None,
    "failure_code": None,
}
_FIRST_RUNS = [
    {"job_id": _JOB_IDS[0], "state": "succeeded", "step": 30, "collapsed": False},
    {"job_id": _JOB_IDS[1], "state": "running", "step": 22},
    {"job_id": _JOB_IDS[2], "state": "running", "step": 4},
]
_NO_RUN_YET = {
    "num_runs": 24,
    "num_pending": 24,
    "num_active": 0,
    "num_succeeded": 0,
    "num_failed": 0,
    "num_cancelled": 0,
    "num_deleted": 0,
    "step": 0,
    "total_steps": 720,
}
_FIRST_PROGRESS = _NO_RUN_YET | {
    "num_pending": 21,
    "num_active": 2,
    "num_succeeded": 1,
    "step": 56,
}


def _arms(first_runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every arm with eight runs, of which the first is as given."""
    return [
        {
            "name": name,
            "num_collapsed": 0,
            "runs": [_PENDING | {"seed": 1} | first]
            + [_PENDING | {"seed": seed} for seed in range(2, 9)],
        }
        for name, first in zip(_ARMS, first_runs, strict=True)
    ]


_SUBMITTED: dict[str, Any] = {
    "id": STUDY_ID,
    "name": EXAMPLE_STUDY["name"],
    "state": "running",
    "reason": None,
    "progress": _NO_RUN_YET,
    "arms": _arms([{}, {}, {}]),
    "spec": EXAMPLE_STUDY,
    "version": 1,
    "created_at": "2026-01-05T13:00:00Z",
    "updated_at": "2026-01-05T13:00:00Z",
    "finished_at": None,
}
_RUNNING = _SUBMITTED | {
    "progress": _FIRST_PROGRESS,
    "arms": _arms(_FIRST_RUNS),
    "version": 5,
    "updated_at": "2026-01-05T13:00:54Z",
}
_NEXT = _RUNNING | {"version": 6, "updated_at": "2026-01-05T13:01:00Z"}

EXAMPLE_SUBMITTED = Study.model_validate(_SUBMITTED)
EXAMPLE_RUNNING = Study.model_validate(_RUNNING)
EXAMPLE_CANCELLING = Study.model_validate(_NEXT | {"state": "cancelling"})
EXAMPLE_PAUSED = Study.model_validate(_NEXT | {"state": "paused"})
EXAMPLE_RESUMED = Study.model_validate(_NEXT | {"version": 7, "updated_at": "2026-01-05T13:30:00Z"})
EXAMPLE_STUDY_PAGE = StudyPage.model_validate(
    {
        "studies": [
            {
                "id": STUDY_ID,
                "name": EXAMPLE_STUDY["name"],
                "state": "running",
                "reason": None,
                "arms": _ARMS,
                "num_seeds": 8,
                "progress": _FIRST_PROGRESS,
                "created_at": _RUNNING["created_at"],
                "updated_at": _RUNNING["updated_at"],
                "finished_at": None,
            }
        ],
        "next_page_token": None,
    }
)
EXAMPLE_EVENT_PAGE = StudyEventPage.model_validate(
    {
        "events": [
            {
                "seq": 1,
                "at": "2026-01-05T13:00:00Z",
                "type": "state_changed",
                "state": "running",
                "message": "Submitted: 3 arms × 8 seeds.",
            },
            {
                "seq": 2,
                "at": "2026-01-05T13:00:01Z",
                "type": "job_submitted",
                "state": "running",
                "message": f"Submitted ungated, seed 1, as job {_JOB_IDS[0]}.",
            },
            {
                "seq": 3,
                "at": "2026-01-05T13:00:01Z",
                "type": "job_submitted",
                "state": "running",
                "message": f"Submitted block, seed 1, as job {_JOB_IDS[1]}.",
            },
        ],
        "next_after": 3,
    }
)

_RESOLUTION = {
    "smallest_p_value": 0.0078,
    "can_resolve": True,
    "smallest_detectable_difference": 0.0499,
    "expected_half_width": 0.0355,
    "seeds_needed": 8,
}
# What is not registered: five exploratory comparisons.
_AMONG_FIVE = {"smallest_detectable_difference": 0.0809, "seeds_needed": 13}
_PLANNED_ARM = {
    "tokens": 1_854_464,
    "flops": 837_449_416_704,
    "seconds": 33.7,
    "warnings": [],
}
_SHUFFLED = {"tokens": 2_223_104, "flops": 929_084_473_344, "seconds": 37.4}
EXAMPLE_STUDY_PLAN = StudyPlan.model_validate(
    {
        "spec": EXAMPLE_STUDY,
        "num_jobs": 24,
        "arms": [
            _PLANNED_ARM | {"arm": "ungated"},
            _PLANNED_ARM | {"arm": "block"},
            _PLANNED_ARM | {"arm": "shuffled-gate"} | _SHUFFLED,
        ],
        "tokens": 47_456_256,
        "flops": 20_831_866_454_016,
        "seconds": 838.4,
        "seconds_side_by_side": 419.2,
        "resolution": [
            {"metric": "pass@1"} | _RESOLUTION | _AMONG_FIVE,
            {"metric": "pass@8"} | _RESOLUTION,
        ],
        "notes": [
            (
                "Assumed: a standard deviation of 0.03 between runs of one arm, and no more in common between two arms "
                "of one seed than of two. The verdict uses what is measured."
            ),
            (
                "One comparison is registered: block minus ungated in pass@8. All others are exploratory, and their "
                "p-values are adjusted after Holm."
            ),
        ],
    }
)
