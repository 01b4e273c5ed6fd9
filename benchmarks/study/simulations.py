"""What the published gates would have moved in ungated runs: `gate:simulate` over the jobs of the tuning, and a table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from pydantic import TypeAdapter

from benchmarks.study.designs import RATE_MARK
from service.client import Client
from service.jobs.gate_simulations import GateSimulation
from service.jobs.studies import Study

UNGATED = "-none"


@dataclass(frozen=True, slots=True)
class SimulatedGate:
    """A gate over one job that trained without."""

    arm: str
    seed: int
    gate: str
    simulation: GateSimulation


def simulate_gates(client: Client, study: Study, *, block_size: int) -> list[SimulatedGate]:
    """Every gate over every job of the arms without one."""
    gates: dict[str, dict[str, Any]] = {
        f"block {block_size}": {"granularity": "block", "block_size": block_size},
        "newline span": {"granularity": "newline_span"},
        "token": {"granularity": "token"},
    }
    return [
        SimulatedGate(arm, seed, gate, client.simulate_gate(job_id, fields))
        for arm, seed, job_id in _ungated_jobs(study)
        for gate, fields in gates.items()
    ]


def simulation_table(found: Iterable[SimulatedGate]) -> str:
    """Markdown: an arm and gate a line, means over its seeds."""
    by_line: dict[tuple[str, str], list[GateSimulation]] = {}
    for each in found:
        by_line.setdefault((each.arm, each.gate), []).append(each.simulation)
    lines = [
        "| arm | gate, τ = 1 | loss moved | at the last use of a batch | gate's deviation | effective sample size |",
        "|---|---|---|---|---|---|",
    ]
    for (arm, gate), simulations in by_line.items():
        moved = mean(one.overall.share_of_loss_moved for one in simulations)
        last = mean(one.by_reuse_depth[-1].share_of_loss_moved for one in simulations)
        std = mean(one.overall.gate_std for one in simulations)
        size = mean(one.overall.effective_sample_size for one in simulations)
        lines.append(f"| {arm} | {gate} | {moved:.1%} | {last:.1%} | {std:.3f} | {size:.4f} |")
    return "\n".join(lines)


def write_simulations(found: list[SimulatedGate], path: Path) -> None:
    """Without single updates: what each depth of reuse had in all, and the suggested strength."""
    path.write_bytes(
        TypeAdapter(list[SimulatedGate]).dump_json(
            found, exclude={"__all__": {"simulation": {"updates"}}}
        )
    )


def _ungated_jobs(study: Study) -> Iterator[tuple[str, int, str]]:
    """Arm, seed and job of those that ended with kept drift."""
    for arm in study.arms:
        if arm.name.rpartition(RATE_MARK)[0].endswith(UNGATED):
            for run in arm.runs:
                assert run.job_id is not None, f"{arm.name}, seed {run.seed} has no job"
                yield arm.name, run.seed, run.job_id
