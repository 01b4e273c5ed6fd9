"""Uploaded problem sets as clients read them, and which of them a spec names."""

import re
from datetime import datetime

from pydantic import Field

from service.jobs.problem_sources import EXAMPLE_ID, DatasetSource
from service.jobs.results import View
from service.jobs.spec import AnyJobSpec, EvaluationJobSpec, JobSpec
from service.jobs.text_patterns import DATASET_ID

DIGITS_OF_ID = 32  # of the content's hash


class Dataset(View):
    """An uploaded problem set. Its content never changes: the id is the start of its hash."""

    id: str = Field(pattern=DATASET_ID, examples=[EXAMPLE_ID])
    name: str | None = Field(description="Of the first upload of this content.")
    sha256: str = Field(description="Of the content, byte for byte as it was uploaded.")
    num_problems: int
    num_answers: int = Field(description="Problems that have an answer; a benchmark needs all.")
    size_bytes: int
    created_at: datetime


class DatasetPage(View):
    """Newest first."""

    datasets: tuple[Dataset, ...]
    next_page_token: str | None


def dataset_id_of(sha256: str) -> str:
    """The id of content with this hash, in hex."""
    return f"ds-{sha256[:DIGITS_OF_ID]}"


def is_dataset_id(text: str) -> bool:
    """Whether a problem set could have this id."""
    return re.fullmatch(DATASET_ID.strip("^$"), text) is not None


def datasets_named_by(spec: AnyJobSpec) -> frozenset[str]:
    """Ids of the uploaded sets that the spec trains on or evaluates with."""
    sources = []
    if isinstance(spec, JobSpec):
        sources.append(spec.prompts.problems)
    if isinstance(spec, JobSpec | EvaluationJobSpec):
        sources += [benchmark.problems for benchmark in spec.evaluation.benchmarks]
    return frozenset(one.dataset_id for one in sources if isinstance(one, DatasetSource))
