"""Studies that both transports refuse in the same words, and one that both accept."""

from collections.abc import Mapping
from typing import Any

from tests.service.rpc.parity_worlds import World
from tests.service.studies.played_runs import BASE, STUDY

BLOCK = {"name": "block", "changes": {}}
UNGATED = {"name": "ungated", "changes": {"gate": {"granularity": "none"}}}

STUDY_REFUSALS: Mapping[str, Mapping[str, Any]] = {
    "a study of one seed": STUDY | {"seeds": [7]},
    "a study of one seed three times": STUDY | {"seeds": [7, 7, 7]},
    "arms that do not differ": STUDY
    | {"arms": [UNGATED, UNGATED | {"name": "block"}], "baseline": "ungated"},
    "a contrast of no arm": STUDY | {"contrast": {"arm": "nothing"}},
    "a baseline that is no arm": STUDY | {"baseline": "nothing"},
    "a metric that is not measured": STUDY | {"contrast": {"arm": "block", "metric": "pass@3"}},
    "a preset that is none": STUDY | {"arms": [UNGATED, BLOCK, {"name": "x", "preset": "nothing"}]},
    "an arm with an unknown field": STUDY
    | {"arms": [UNGATED, BLOCK, {"name": "x", "changes": {"gate": {"blocks": 3}}}]},
    "an arm that is evaluated otherwise": STUDY
    | {"arms": [UNGATED, BLOCK, {"name": "x", "changes": {"evaluation": {}}}]},
    "a study without a benchmark": STUDY | {"base": BASE | {"evaluation": {"k": [1, 8]}}},
    "a base that is none": STUDY | {"base": BASE | {"steps": 0}},
    "a budget that is too small": STUDY | {"budget_tokens": 1000},
}


def same_study(world: World) -> str:
    """The id of a study whose jobs wait."""
    answer = world.rest.post("/v1/studies", json=STUDY)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
