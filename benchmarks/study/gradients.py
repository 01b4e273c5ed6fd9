"""Where the gradients of a reused batch point: three ungated jobs with the diagnosis, and its cosines as a table."""

from collections import defaultdict
from collections.abc import Mapping
from statistics import mean

from benchmarks.study.designs import CALIBRATION_PROBLEMS
from benchmarks.study.task import base_spec
from service.client import Client
from service.jobs.diagnostics_spec import DiagnosticsSpec, GradientFidelitySpec
from service.jobs.gradient_fidelity import GradientFidelity
from service.jobs.spec import JobSpec

LEARNING_RATES = (1e-4, 4e-4, 1.2e-3)
DEPTHS = (2, 4, 8)
STEPS = 8
SEED = 401


def gradient_specs() -> dict[float, JobSpec]:
    """By learning rate; measured at every second step."""
    base = base_spec(steps=STEPS, num_problems=50, problems_seed=CALIBRATION_PROBLEMS)
    measured = GradientFidelitySpec(num_batches=4, depths=DEPTHS, fresh_samples_per_prompt=32)
    return {
        rate: base.model_copy(
            update={
                "seed": SEED,
                "optimizer": base.optimizer.model_copy(update={"learning_rate": rate}),
                "diagnostics": DiagnosticsSpec(gradient_fidelity=measured),
            }
        )
        for rate in LEARNING_RATES
    }


def measure_gradients(client: Client) -> dict[float, GradientFidelity]:
    """Runs the jobs to their ends; by learning rate."""
    jobs = {rate: client.submit(spec).id for rate, spec in gradient_specs().items()}
    for job_id in jobs.values():
        client.wait(job_id)
    return {rate: client.gradient_fidelity(job_id) for rate, job_id in jobs.items()}


def gradient_table(found: Mapping[float, GradientFidelity]) -> str:
    """Markdown: a weighting a line, with the mean cosine over the measured steps by learning rate and depth."""
    cosines: dict[str, dict[tuple[float, int], list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for rate, fidelity in found.items():
        for measurement in fidelity.measurements:
            for each in measurement.weightings:
                if each.cosine is not None:
                    cosines[each.weighting][rate, measurement.depth].append(each.cosine)
    heads = [f"lr {rate:g}: {', '.join(map(str, DEPTHS))}" for rate in found]
    lines = [f"| weighting | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name, by_place in cosines.items():
        cells = [
            ", ".join(
                f"{mean(by_place[rate, depth]):.2f}" if by_place[rate, depth] else "–"
                for depth in DEPTHS
            )
            for rate in found
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
