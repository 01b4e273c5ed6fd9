"""maj@k: how often the most frequent answer of k samples is right."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from service.jobs.results import Estimate
from service.statistics.intervals import interval_of
from service.statistics.problem_bootstrap import bootstrap_draws

# Up to this many choices of k samples all are looked at, above it as many are drawn.
_MAX_EXACT_CHOICES = 1_000
_NUM_RESAMPLES = 10_000
_BOUNDS = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Vote:
    """One sample's vote: for the answer of this key, or for none where there is no answer (None)."""

    answer_key: str | None
    is_right: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Ballot:
    """Of one problem's distinct answers: how many samples gave each, and which are right."""

    num_samples: NDArray[np.int64]
    is_right: NDArray[np.bool_]
    num_silent: int


def majority_at_k(
    problems: Sequence[Sequence[Vote]], k: int, *, seed: int = 0
) -> tuple[float, ...]:
    """Of every problem: the chance that the most frequent answer of k of its samples is right.

    A tie of t answers gives each 1/t; where no sample answers it is 0. A mean over the choices of k of
    the n samples without replacement, exact where they are few (always for k = 1 and k = n, n ≤ 1000),
    else over seeded draws. A key is right if any sample of it was judged right, as a judgement that
    timed out says nothing. A ValueError where a problem has fewer than k samples.
    """
    return tuple(
        _majority(problem, k, generator=np.random.default_rng((seed, position)))
        for position, problem in enumerate(problems)
    )


def majority_estimate(problems: Sequence[Sequence[Vote]], k: int, *, seed: int = 0) -> Estimate:
    """The mean maj@k over a benchmark's problems with the problems interval; equal for equal arguments.

    A ValueError where there are no problems or one has fewer than k samples.
    """
    return mean_majority_estimate([problems], k, seed=seed)


def mean_majority_estimate(
    benchmarks: Sequence[Sequence[Sequence[Vote]]], k: int, *, seed: int = 0
) -> Estimate:
    """The unweighted mean over benchmarks of their mean maj@k, with the problems interval.

    Problems are drawn anew within each benchmark; equal for equal arguments. A ValueError where there
    is no benchmark, one without problems, or a problem with fewer than k samples.
    """
    if not benchmarks or not all(benchmarks):
        raise ValueError(
            f"maj@{k} needs a benchmark with problems, given {[len(one) for one in benchmarks]}"
        )
    generator = np.random.default_rng(seed)
    values = [np.array(majority_at_k(problems, k, seed=seed)) for problems in benchmarks]
    estimate = float(np.mean([of_problems.mean() for of_problems in values]))
    draws = [
        bootstrap_draws(
            of_problems, extremes=_BOUNDS, generator=generator, num_draws=_NUM_RESAMPLES
        )
        for of_problems in values
    ]
    low, high = interval_of(np.mean(draws, axis=0), estimate=estimate, bounds=_BOUNDS)
    return Estimate(estimate=estimate, low=low, high=high)


def _majority(problem: Sequence[Vote], k: int, *, generator: np.random.Generator) -> float:
    if not 1 <= k <= len(problem):
        raise ValueError(f"k is {k}, but maj@k needs 1 ≤ k ≤ n, and n is {len(problem)}")
    ballot = _ballot(problem)
    if not ballot.is_right.any():
        return 0.0
    if math.comb(len(problem), k) <= _MAX_EXACT_CHOICES:
        votes = _all_votes(ballot, k)
    else:
        votes = _drawn_votes(ballot, k, generator=generator)
    return _share_of_right(votes, ballot.is_right)


def _ballot(problem: Sequence[Vote]) -> _Ballot:
    num_samples = Counter(vote.answer_key for vote in problem if vote.answer_key is not None)
    right_keys = {vote.answer_key for vote in problem if vote.is_right}
    return _Ballot(
        num_samples=np.array(list(num_samples.values()), dtype=np.int64),
        is_right=np.array([key in right_keys for key in num_samples], dtype=np.bool_),
        num_silent=len(problem) - num_samples.total(),
    )


def _all_votes(ballot: _Ballot, k: int) -> NDArray[np.int64]:
    """[choices, answers]: the votes of every choice of k samples."""
    num_samples = np.append(ballot.num_samples, ballot.num_silent)
    answer_of_sample = np.repeat(np.arange(len(num_samples)), num_samples)
    places = np.array(list(combinations(answer_of_sample.tolist(), k)))
    num_choices = len(places)
    # Counted at their places: an array [choices, k, answers] would take gigabytes for 1,000 samples.
    places += np.arange(num_choices)[:, np.newaxis] * len(num_samples)
    votes = np.bincount(places.ravel(), minlength=num_choices * len(num_samples))
    return votes.reshape(num_choices, len(num_samples))[:, :-1]


def _drawn_votes(ballot: _Ballot, k: int, *, generator: np.random.Generator) -> NDArray[np.int64]:
    with_silent = np.append(ballot.num_samples, ballot.num_silent)
    drawn = generator.multivariate_hypergeometric(with_silent, k, size=_MAX_EXACT_CHOICES)
    return drawn[:, :-1]


def _share_of_right(votes: NDArray[np.int64], is_right: NDArray[np.bool_]) -> float:
    most = votes.max(axis=1, keepdims=True)
    is_first = (votes == most) & (most > 0)
    # Where nobody votes nobody is first: 0 of 1.
    shares = (is_first & is_right).sum(axis=1) / np.maximum(is_first.sum(axis=1), 1)
    return float(shares.mean())
