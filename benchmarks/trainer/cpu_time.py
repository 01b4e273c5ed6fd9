"""Medians of CPU time over interleaved runs: what disturbs the machine disturbs every variant alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


def interleaved_medians(
    variants: Mapping[str, Callable[[], object]], *, repeats: int
) -> dict[str, float]:
    """CPU seconds of this process a run; each variant runs once first, unmeasured."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run()
    for _ in range(repeats):
        for name, run in variants.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


@dataclass(frozen=True, slots=True)
class Work:
    """So many tokens in so many CPU seconds."""

    num_tokens: int
    seconds: float


def interleaved_rates(
    variants: Mapping[str, Callable[[int], Work]], *, repeats: int
) -> dict[str, float]:
    """Median tokens per CPU second; a variant is given the number of the repeat as its seed.

    For work whose amount is random (sampled tokens), where seconds alone say nothing. A variant keeps
    its own time, so that what it sets up does not count.
    """
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run(0)
    for seed in range(1, repeats + 1):
        for name, run in variants.items():
            work = run(seed)
            rates[name].append(work.num_tokens / work.seconds)
    return {name: statistics.median(values) for name, values in rates.items()}
