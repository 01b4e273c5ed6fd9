"""The published problem sets: where each is found and what its text is verified by.

Their texts belong to others and are never part of Driftgate. What it holds of them are hashes of the
normalised text (`published_problems.json`), made from copies whose answers were compared with independent
transcriptions.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from service.jobs.problem_sources import PublishedSet
from service.preflight.hub import DatasetFile
from service.preflight.published_rows import dapo_row, gsm8k_row, plain_row

HASHES_FILE = Path(__file__).with_name("published_problems.json")


class Verification(StrEnum):
    """How a copy is compared with what was published."""

    EACH_PROBLEM = "each_problem"
    WHOLE_SET = "whole_set"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Publication:
    """One published set.

    num_problems: of a set that is verified by its count alone, the expected one.
    hub_file: None where no file of the hub has the text that the hashes are of.
    read_row: problem, empty where the row has none, and answer.
    """

    title: str
    file_name: str
    num_problems: int
    verification: Verification
    hub_file: DatasetFile | None
    read_row: Callable[[Mapping[str, Any]], tuple[str, str | None]] = plain_row


PUBLICATIONS: Mapping[PublishedSet, Publication] = {
    PublishedSet.AIME24: Publication(
        title="AIME 2024 I and II",
        file_name="aime24.jsonl",
        num_problems=30,
        verification=Verification.EACH_PROBLEM,
        hub_file=DatasetFile(
            "HuggingFaceH4/aime_2024",
            "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
            "data/train-00000-of-00001.parquet",
        ),
    ),
    PublishedSet.AIME25: Publication(
        title="AIME 2025 I and II",
        file_name="aime25.jsonl",
        num_problems=30,
        verification=Verification.EACH_PROBLEM,
        # The hub's transcriptions are in other words than the verified one, that of NeMo-Skills
        # (nemo_skills/dataset/aime25/test.txt), some with figures and some without.
        hub_file=None,
    ),
    PublishedSet.MATH500: Publication(
        title="MATH500, 500 test problems of MATH",
        file_name="math500.jsonl",
        num_problems=500,
        verification=Verification.EACH_PROBLEM,
        hub_file=DatasetFile(
            "HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", "test.jsonl"
        ),
    ),
    PublishedSet.AMC23: Publication(
        title="AMC 12 2023, the 40 problems with an integer answer",
        file_name="amc23.jsonl",
        num_problems=40,
        verification=Verification.EACH_PROBLEM,
        hub_file=DatasetFile(
            "math-ai/amc23",
            "80815d37005feb82cd7f8fbc6901d5d3eff43057",
            "test-00000-of-00001.parquet",
        ),
    ),
    PublishedSet.GSM8K: Publication(
        title="GSM8K, its training problems",
        file_name="gsm8k_train.jsonl",
        num_problems=7473,
        verification=Verification.WHOLE_SET,
        hub_file=DatasetFile(
            "openai/gsm8k",
            "740312add88f781978c0658806c59bc2815b9866",
            "main/train-00000-of-00001.parquet",
        ),
        read_row=gsm8k_row,
    ),
    PublishedSet.MATH: Publication(
        title="MATH, the 4,500 test problems that are not in MATH500",
        file_name="math_train4500.jsonl",
        num_problems=4500,
        verification=Verification.WHOLE_SET,
        # Cut from MARIO_EVAL's annotated answers (data/math_testset_annotation.json).
        hub_file=None,
    ),
    PublishedSet.DAPO_MATH_17K: Publication(
        title="DAPO-Math-17k, each prompt once",
        file_name="dapo_math_17k.jsonl",
        num_problems=17_188,
        # No copy was at hand to take hashes of; the commit pins the hub's.
        verification=Verification.COUNT,
        hub_file=DatasetFile(
            "YouJiacheng/DAPO-Math-17k-dedup",
            "6e26a33abdabd3e6aaa1d742326b790758f7dbc5",
            "distinct-prompts-with-rewards.parquet",
        ),
        read_row=dapo_row,
    ),
}


def problem_hashes(name: PublishedSet) -> Mapping[str, str]:
    """Ids in the published order, each with the `answered_problem_sha256` of its problem."""
    return dict(_hashes()[name]["problems"])


def set_sha256(name: PublishedSet) -> str:
    """The `problems_sha256` of the whole set; of one that is verified by its count there is none."""
    sha256: str = _hashes()[name]["sha256"]
    return sha256


@cache
def _hashes() -> Mapping[str, Any]:
    hashes: Mapping[str, Any] = json.loads(HASHES_FILE.read_text(encoding="utf-8"))
    return hashes
