"""Prompts that a benchmark knows already: 13 words in a row in common, or a short text as a whole.

A word is a run of letters and digits after NFKC and case folding, so the name of a LaTeX command is one and
its backslash, braces and operators are none. A text of fewer than 13 words is compared whole instead:
folded in the same way, its whitespace left out, every sign of it counts.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.problem_sources import Problem

NUM_WORDS = 13
MAX_EXAMPLES = 5
WORD = re.compile(r"[^\W_]+")

# 13 words, or a short text as the only element.
Passage = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OverlapExample:
    """share: of the problem's distinct 13-grams, those in the prompt; 1 of a short text."""

    prompt_id: str
    problem_id: str
    share: float


@dataclass(frozen=True, slots=True)
class BenchmarkOverlap:
    """examples: the prompts with the largest shares, each with the problem it shares most with."""

    benchmark: str
    num_prompts: int
    num_overlapping: int
    examples: tuple[OverlapExample, ...]


@dataclass(frozen=True, slots=True)
class OverlapReport:
    """by_benchmark: in the order given. overlapping_ids: of prompts that overlap with any of them."""

    by_benchmark: tuple[BenchmarkOverlap, ...]
    overlapping_ids: frozenset[str]


def prompt_overlap(
    prompts: Sequence[Problem], benchmark_problems: Mapping[str, Sequence[Problem]]
) -> OverlapReport:
    """What the prompts have in common with the problems of each benchmark, in one pass over the texts."""
    indexes = {name: _BenchmarkIndex.of(problems) for name, problems in benchmark_problems.items()}
    found: dict[str, list[OverlapExample]] = {name: [] for name in indexes}
    for prompt in prompts:
        passages = _passages(prompt.problem)
        for name, index in indexes.items():
            example = index.most_alike(prompt.id, passages)
            if example is not None:
                found[name].append(example)
    return OverlapReport(
        by_benchmark=tuple(
            BenchmarkOverlap(
                benchmark=name,
                num_prompts=len(prompts),
                num_overlapping=len(examples),
                # Sorting is stable: of equal shares, those of earlier prompts stand first.
                examples=tuple(sorted(examples, key=lambda one: -one.share)[:MAX_EXAMPLES]),
            )
            for name, examples in found.items()
        ),
        overlapping_ids=frozenset(
            example.prompt_id for examples in found.values() for example in examples
        ),
    )


def without_overlap(
    prompts: Sequence[Problem], report: OverlapReport, *, field: str
) -> tuple[Problem, ...]:
    """The prompts that overlap with no benchmark. Raises PROMPTS_EMPTY where none is left."""
    left = tuple(prompt for prompt in prompts if prompt.id not in report.overlapping_ids)
    if not left:
        names = ", ".join(one.benchmark for one in report.by_benchmark if one.num_overlapping)
        raise DriftgateError(
            ErrorCode.PROMPTS_EMPTY,
            f"All {len(prompts):,} prompts of {field} overlap with problems of the benchmarks "
            f"({names}), so none is left to train on. Train on other prompts, or set "
            "prompts.drop_overlapping to false.",
            [Violation(field, f"{len(prompts)} overlapping prompts", "a prompt of no benchmark")],
        )
    return left


@dataclass(frozen=True, slots=True)
class _BenchmarkIndex:
    """Ids of the problems that hold a passage, and how many passages each problem has."""

    problem_ids: Mapping[Passage, Sequence[str]]
    num_passages: Mapping[str, int]

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "_BenchmarkIndex":
        problem_ids: dict[Passage, list[str]] = defaultdict(list)
        num_passages: dict[str, int] = {}
        for problem in problems:
            passages = _passages(problem.problem)
            num_passages[problem.id] = len(passages)
            for passage in passages:
                problem_ids[passage].append(problem.id)
        return cls(dict(problem_ids), num_passages)

    def most_alike(self, prompt_id: str, passages: frozenset[Passage]) -> OverlapExample | None:
        """The problem with the largest share, the first of equals; None where nothing is shared."""
        num_shared = Counter(
            problem_id for passage in passages for problem_id in self.problem_ids.get(passage, ())
        )
        if not num_shared:
            return None
        shares = {
            problem_id: num_shared[problem_id] / self.num_passages[problem_id]
            for problem_id in self.num_passages
            if problem_id in num_shared
        }
        problem_id = max(shares, key=lambda one: shares[one])
        return OverlapExample(prompt_id, problem_id, shares[problem_id])


def _passages(text: str) -> frozenset[Passage]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = WORD.findall(folded)
    if len(words) < NUM_WORDS:
        return frozenset({("".join(folded.split()),)})
    return frozenset(
        tuple(words[start : start + NUM_WORDS]) for start in range(len(words) - NUM_WORDS + 1)
    )
