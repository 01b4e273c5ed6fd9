"""A study's arms in the form of docs/evidence.md, and which learning rate each arm takes."""

from collections import defaultdict

from benchmarks.study.designs import RATE_MARK
from service.client import Client
from service.jobs.studies import Study
from service.jobs.study_spec import StudySpec
from service.jobs.study_verdicts import StudyVerdict

METRICS = ("pass@1", "pass@8", "reverse_kl")


def summary(spec: StudySpec, verdict: StudyVerdict) -> str:
    """Markdown: an arm a line with its mean and interval over seeds, collapses, and the difference in pass@8."""
    differences = {
        (one.arm, one.metric): one
        for one in (*verdict.exploratory, *([verdict.contrast] if verdict.contrast else []))
    }
    lines = [
        f"| arm | {' | '.join(METRICS)} | collapsed | pass@8 minus {spec.baseline} | p |",
        "|---|" + "---|" * (len(METRICS) + 3),
    ]
    for arm in verdict.arms:
        figures = [
            ""
            if one is None
            else f"{one.mean:.3f} ± {(one.high - one.low) / 2:.3f}"
            if one.low is not None and one.high is not None
            else f"{one.mean:.3f}"
            for one in (arm.metrics.get(metric) for metric in METRICS)
        ]
        found = differences.get((arm.arm, "pass@8"))
        difference = ["", ""]
        if found is not None and found.low is not None and found.high is not None:
            p_value = (
                f"{found.p_value:.3f}, registered"
                if found.adjusted_p_value is None
                else f"{found.adjusted_p_value:.3f} after Holm"
            )
            difference = [f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]", p_value]
        collapsed = f"{arm.num_collapsed} of {arm.num_runs}"
        lines.append(f"| {' | '.join([arm.arm, *figures, collapsed, *difference])} |")
    return "\n".join(lines)


def best_rates(spec: StudySpec, verdict: StudyVerdict) -> str:
    """Of arms that differ in their learning rate alone, the rate with the highest mean pass@8; a tie: the lowest."""
    rates: dict[str, dict[float, float]] = defaultdict(dict)
    changes = {arm.name: arm.changes for arm in spec.arms}
    for arm in verdict.arms:
        if "pass@8" in arm.metrics:
            rate = changes[arm.arm]["optimizer"]["learning_rate"]
            rates[arm.arm.rpartition(RATE_MARK)[0]][rate] = arm.metrics["pass@8"].mean
    return "\n".join(
        f"{name}: {max(sorted(found), key=found.__getitem__):g}  of "
        + ", ".join(f"{rate:g}: {mean:.3f}" for rate, mean in sorted(found.items()))
        for name, found in rates.items()
    )


def single_runs_that_differ(client: Client, study: Study) -> str:
    """How often two runs of the two arms with one seed differ by their samples alone: the error of a comparison of two jobs."""
    num_pairs = num_found = 0
    for first, second in zip(*(arm.runs for arm in study.arms), strict=True):
        if first.job_id is None or second.job_id is None:
            continue
        for pair in client.compare([first.job_id, second.job_id]).pairs:
            if pair.mean is not None:
                num_pairs += 1
                difference = pair.mean.difference
                num_found += difference.low > 0 or difference.high < 0
    return (
        f"{num_found} of {num_pairs} pairs of single runs differ by their 95 % paired interval over problems, "
        "training-seed variance not included."
    )
