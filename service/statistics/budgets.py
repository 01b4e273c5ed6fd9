"""Score against token budget: what shorter limits would have given, from the samples that there are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.jobs.results import BudgetScore
from service.statistics.counts import Counts
from service.statistics.pass_at_k import pass_of_problems

# A shorter response holds no step of a solution.
_SMALLEST_BUDGET_TOKENS = 16


@dataclass(frozen=True, slots=True)
class BudgetSample:
    """is_truncated: the response was cut off at the limit that it was sampled with."""

    response_tokens: int
    is_right: bool
    is_truncated: bool = False


def scores_by_budget(
    problems: Sequence[Sequence[BudgetSample]], ks: Sequence[int], limit_tokens: int
) -> tuple[BudgetScore, ...]:
    """The benchmark's means at each of `token_budgets(limit_tokens)`; the last are its own results.

    A sample is right at a budget if it is right and no longer than that. A ValueError where there are
    no problems, one has fewer samples than a k, or a response is longer than the limit.
    """
    longest = max((sample.response_tokens for problem in problems for sample in problem), default=0)
    if longest > limit_tokens:
        raise ValueError(f"a response of {longest} tokens is longer than the limit, {limit_tokens}")
    return tuple(
        _score(problems, ks, budget_tokens=budget) for budget in token_budgets(limit_tokens)
    )


def token_budgets(limit_tokens: int) -> tuple[int, ...]:
    """The powers of two from 16 to below the limit, and the limit."""
    if limit_tokens < 1:
        raise ValueError(f"limit_tokens is {limit_tokens}, but must be at least 1")
    budgets = [limit_tokens]
    power = _SMALLEST_BUDGET_TOKENS
    while power < limit_tokens:
        budgets.insert(-1, power)
        power *= 2
    return tuple(budgets)


def _score(
    problems: Sequence[Sequence[BudgetSample]], ks: Sequence[int], *, budget_tokens: int
) -> BudgetScore:
    counts = Counts(
        n=tuple(len(problem) for problem in problems),
        c=tuple(
            sum(sample.is_right and sample.response_tokens <= budget_tokens for sample in problem)
            for problem in problems
        ),
    )
    cut_off = [
        _is_cut_off(sample, budget_tokens=budget_tokens)
        for problem in problems
        for sample in problem
    ]
    return BudgetScore(
        max_response_tokens=budget_tokens,
        pass_at={str(k): float(pass_of_problems(counts, k).mean()) for k in ks},
        fraction_truncated=float(np.mean(cut_off)),
    )


def _is_cut_off(sample: BudgetSample, *, budget_tokens: int) -> bool:
    """What its own limit cut off, every shorter one would have."""
    return sample.is_truncated or sample.response_tokens > budget_tokens
