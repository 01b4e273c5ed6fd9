"""Studies on a real database whose jobs a test plays: claimed, scored and ended as a worker would."""

from collections.abc import Callable, Sequence

from service.jobs.results import Failure
from service.jobs.spec import JobSpec
from service.jobs.state import JobState
from service.jobs.study_jobs import parse_study
from service.jobs.study_spec import ARM_LABEL, SEED_LABEL, StudySpec
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from tests.worker_records import an_evaluation_record, an_outcome, an_update

FEW_PROBLEMS = {"source": "arithmetic", "num_problems": 8}
BASE = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": FEW_PROBLEMS},
    "gate": {"block_size": 16},
    "steps": 5,
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128, "top_p": 0.9},
    "evaluation": {
        "benchmarks": [{"name": "arithmetic", "problems": FEW_PROBLEMS}],
        "max_response_tokens": 128,
    },
}
STUDY = {
    "name": "a study",
    "base": BASE,
    "arms": [
        {"name": "ungated", "changes": {"gate": {"granularity": "none"}}},
        {"name": "block"},
        {"preset": "shuffled-gate"},
    ],
    "seeds": [1, 2, 3],
    "baseline": "ungated",
    "contrast": {"arm": "block", "metric": "pass@1"},
}

# Of an arm and a seed: of eight samples, how many are right of each problem after training; before it is 2.
Scores = Callable[[str, int], Sequence[int]]
NUM_SAMPLES = 8
RIGHT_BEFORE = (2, 2, 2, 2)


def study_spec(**changes: object) -> StudySpec:
    return parse_study(STUDY | changes)


def play_one(
    jobs: JobStore,
    results: ResultStore,
    scores: Scores,
    *,
    failure: Failure | None = None,
    grader: str = "a grader",
) -> tuple[str, int] | None:
    """The arm and the seed of the job that was run to its end; None where none waits."""
    claim = jobs.claim(queue="default", owner="a worker", lease_s=60)
    if claim is None:
        return None
    lease, spec = claim.lease, claim.spec
    assert isinstance(spec, JobSpec)
    arm, seed = spec.labels[ARM_LABEL], int(spec.labels[SEED_LABEL])
    jobs.start_running(lease)
    if failure is not None:
        jobs.finish(lease, state=JobState.FAILED, failure=failure, message="Failed.")
        return arm, seed
    results.record_evaluation(lease, _record("baseline", RIGHT_BEFORE, grader=grader))
    results.append_updates(lease, [an_update(1)])
    results.record_evaluation(lease, _record("final", scores(arm, seed), grader=grader))
    jobs.finish(lease, state=JobState.SUCCEEDED, failure=None, message="Done.")
    return arm, seed


def _record(stage: str, right: Sequence[int], *, grader: str):
    problems = [an_outcome(f"p{index}", n=NUM_SAMPLES, c=c) for index, c in enumerate(right)]
    return an_evaluation_record(stage, problems, grader=grader)
