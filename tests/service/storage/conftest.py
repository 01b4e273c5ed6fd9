"""A small valid spec and stores on `database`."""

from collections.abc import Callable

import pytest

from service.jobs.problem_sources import InlineSource, Problem
from service.jobs.spec import JobSpec
from service.storage.job_store import JobStore
from service.storage.result_store import ResultStore
from service.storage.sessions import Database


@pytest.fixture
def spec() -> JobSpec:
    # 5 steps × 2 epochs × 3 minibatches = 30 updates.
    return JobSpec.model_validate(
        {
            "name": "a small job",
            "student": {"model": "builtin/arithmetic-student"},
            "teacher": {"model": "builtin/arithmetic-teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "steps": 5,
            "reuse": {"epochs": 2, "minibatches": 3},
            "drift_map_block_size": 16,
        }
    )


@pytest.fixture
def spec_with_problems(spec: JobSpec) -> Callable[[int], JobSpec]:
    """The small spec with as many problems, 65,536 characters each: 16 are 1 Mi."""

    def with_problems(num_problems: int) -> JobSpec:
        problem = Problem(id="1", problem="p" * 65_536)
        source = InlineSource(problems=(problem,) * num_problems)
        return spec.model_copy(
            update={"prompts": spec.prompts.model_copy(update={"problems": source})}
        )

    return with_problems


@pytest.fixture
def job_store(database: Database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def result_store(database: Database) -> ResultStore:
    return ResultStore(database)
