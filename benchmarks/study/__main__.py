"""`python -m benchmarks.study [PART]`: the studies of docs/evidence.md, each part on a service of its own.

Prints every verdict, and writes it with its spec below --output. Run again after an interruption, it goes on.
"""

import argparse
import signal
from pathlib import Path

from rich.console import Console

from benchmarks.study.designs import (
    LONG_TUNED,
    OBJECTIVES,
    SCREENED_REUSE,
    calibration,
    chosen_contrast,
    confirmation,
    long_confirmation,
    long_tuning,
    screening,
    tuning,
)
from benchmarks.study.gradients import gradient_table, measure_gradients
from benchmarks.study.running import run_study, write_study
from benchmarks.study.simulations import simulate_gates, simulation_table, write_simulations
from benchmarks.study.tables import best_rates, single_runs_that_differ, summary
from benchmarks.study.task import BLOCK_SIZE, LONG_BLOCK_SIZE
from service.client import Client
from service.demo.own_service import own_service
from service.job_commands.verdict_tables import verdict_page
from service.jobs.study_spec import StudySpec

WIDTH = 160
SIMULATED = {
    "simulate": (tuning(), BLOCK_SIZE, "simulated-gates"),
    "simulate-long": (long_tuning(), LONG_BLOCK_SIZE, "simulated-gates-long"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument(
        "part",
        nargs="?",
        default="confirm",
        choices=(
            *("confirm", "tune", "simulate", "screen", "calibrate", "gradients"),
            *("chosen", "long", "tune-long", "simulate-long"),
        ),
    )
    parser.add_argument("--output", type=Path, default=Path("var/study"))
    options = parser.parse_args()
    # SIGTERM stops the service too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(width=WIDTH)
    folder = options.output.resolve()
    with (
        own_service(folder / "service", log_name="study.log") as service,
        Client(service.url) as client,
    ):
        console.print(f"The page: {service.url}/#/studies")
        if options.part == "gradients":
            found = measure_gradients(client)
            console.print(gradient_table(found))
            for rate, fidelity in found.items():
                path = folder / f"gradient-fidelity-{rate:g}.json"
                path.write_text(fidelity.model_dump_json())
            return
        if options.part in SIMULATED:
            spec, block_size, name = SIMULATED[options.part]
            study, _, _ = run_study(service, client, spec)  # ended, where it was run before
            simulated = simulate_gates(client, study, block_size=block_size)
            console.print(simulation_table(simulated))
            write_simulations(simulated, folder / f"{name}.json")
            return
        for name, spec in _studies(options.part).items():
            study, verdict, seconds = run_study(service, client, spec)
            write_study(spec, verdict, seconds=seconds, path=folder / f"{name}.json")
            console.print(f"\n{spec.name}: {seconds / 60:.0f} minutes", style="bold")
            console.print(verdict_page(verdict))
            console.print(summary(spec, verdict))
            if options.part in ("tune", "tune-long"):
                console.print(best_rates(spec, verdict))
            if options.part == "calibrate":
                console.print(single_runs_that_differ(client, study))


def _studies(part: str) -> dict[str, StudySpec]:
    chosen = {"chosen-contrast": chosen_contrast()}
    long = {f"long-{objective}": long_confirmation(objective) for objective in LONG_TUNED}
    match part:
        case "tune":
            return {"tuning": tuning()}
        case "tune-long":
            return {"tuning-long": long_tuning()}
        case "calibrate":
            return {"calibration": calibration()}
        case "screen":
            return {
                f"screening-{num_epochs}": screening(num_epochs) for num_epochs in SCREENED_REUSE
            }
        case "chosen":
            return chosen
        case "long":
            return long
        case _:
            published = {
                f"confirmation-{objective}": confirmation(objective) for objective in OBJECTIVES
            }
            return published | chosen | long


if __name__ == "__main__":
    main()
