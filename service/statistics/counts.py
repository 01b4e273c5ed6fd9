"""What a benchmark's samples come to: how many each problem got and how many of them were right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """n samples of each problem of one benchmark, c of them right; both in the problems' order.

    Hashable, so that what is computed from it can be cached. A ValueError where there is no problem,
    a problem without samples, or c outside of 0…n.
    """

    n: tuple[int, ...]
    c: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.n or len(self.n) != len(self.c):
            raise ValueError(
                f"counts need n and c of the same problems, at least one, "
                f"given {len(self.n)} n and {len(self.c)} c"
            )
        for n, c in zip(self.n, self.c, strict=True):
            if n < 1 or not 0 <= c <= n:
                raise ValueError(
                    f"{c} of {n} samples right is impossible: allowed is 0 ≤ c ≤ n, n ≥ 1"
                )

    @property
    def num_problems(self) -> int:
        return len(self.n)

    def distinct(self) -> dict[tuple[int, int], int]:
        """How many problems had each (n, c), in the order of (n, c)."""
        found: dict[tuple[int, int], int] = {}
        for outcome in sorted(zip(self.n, self.c, strict=True)):
            found[outcome] = found.get(outcome, 0) + 1
        return found
