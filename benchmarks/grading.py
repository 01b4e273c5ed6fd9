"""How long does grading take? `python -m benchmarks.grading`; needs DRIFTGATE_BENCHMARKS_DIR.

Eight ordinary samples for each of the 600 problems of AIME24, AIME25, AMC23 and MATH500: four right ones, written
in different ways, and four with the answer to another problem of the set. One process for algebra, on one core.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from worker.evaluation.grader import Grader, GradingRequest, grader_version
from worker.evaluation.grading import Layer, Rule

BENCHMARKS = ("aime24", "aime25", "amc23", "math500")
STYLES = (
    "{answer}",
    "x = {answer}",
    r"\displaystyle {answer}.",
    r"\left({answer}\right)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = os.environ.get("DRIFTGATE_BENCHMARKS_DIR")
    if not folder:
        sys.exit("DRIFTGATE_BENCHMARKS_DIR names no folder with aime24.jsonl and so on")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    requests = list(samples(Path(folder), seed=options.seed))
    started = time.perf_counter()
    with Grader() as grader:
        verdicts = grader.grade(requests)
    seconds = time.perf_counter() - started
    by_layer: dict[Layer, list[float]] = defaultdict(list)
    for verdict in verdicts:
        by_layer[verdict.layer].append(verdict.milliseconds)
    print(f"| {grader_version()} | samples | ms each | ms at most |\n|---|---|---|---|")
    for layer in Layer:
        times = by_layer[layer]
        if times:
            mean = sum(times) / len(times)
            print(f"| {layer} | {len(times):,} | {mean:.2f} | {max(times):.1f} |")
    print(
        f"\n{len(verdicts):,} samples in {seconds:.1f} s on one core, the start of sympy included."
    )


def samples(folder: Path, *, seed: int) -> Iterator[GradingRequest]:
    chooser = random.Random(seed)
    for name in BENCHMARKS:
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for row in rows:
            others = [chooser.choice(rows)["answer"] for _ in STYLES]
            answers = [style.format(answer=row["answer"]) for style in STYLES] + others
            for answer in answers:
                # As long as a response of some thousand tokens.
                thoughts = f"Let me think. {row['problem']} " * 20
                text = rf"{thoughts}The answer is \boxed{{{answer}}}."
                yield GradingRequest(text, row["answer"], Rule.BOXED)


if __name__ == "__main__":
    main()
