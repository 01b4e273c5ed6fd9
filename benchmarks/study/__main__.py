"""`python -m benchmarks.study [PART]`: the studies of docs/evidence.md, each part on a service of its own.

Prints every verdict, and writes it with its spec below --output. Run again after an interruption, it goes on.
"""

import argparse
import signal
from itertools import product
from pathlib import Path

from rich.console import Console

from benchmarks.study.designs import (
    OBJECTIVES,
    RATE_MARK,
    SCREENED_REUSE,
    SCREENING_RATES,
    calibration,
    chosen_contrast,
    confirmation,
    long_chosen_contrast,
    long_confirmation,
    long_screening,
    long_tuning,
    screening,
    tuned_chosen_contrast,
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
    "simulate": ({"simulated-gates": tuning()}, BLOCK_SIZE),
    "simulate-long": (
        {f"simulated-gates-long-{objective}": long_tuning(objective) for objective in OBJECTIVES},
        LONG_BLOCK_SIZE,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument(
        "part",
        nargs="?",
        default="confirm",
        choices=(
            *("confirm", "tune", "simulate", "screen", "calibrate", "gradients"),
            *("chosen", "long", "tune-long", "simulate-long", "screen-long", "chosen-long"),
        ),
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="of the part's files; may be repeated"
    )
    parser.add_argument("--jobs", type=int, default=2, help="at once, a core each")
    parser.add_argument("--output", type=Path, default=Path("var/study"))
    options = parser.parse_args()
    # SIGTERM stops the service too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(width=WIDTH)
    folder = options.output.resolve()
    with (
        own_service(folder / "service", log_name="study.log", num_slots=options.jobs) as service,
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
            specs, block_size = SIMULATED[options.part]
            for name, spec in _wanted(specs, options.only).items():
                # Ended, where it was run before.
                study, _, _ = run_study(service, client, _at_once(spec, options.jobs))
                simulated = simulate_gates(client, study, block_size=block_size)
                console.print(simulation_table(simulated))
                write_simulations(simulated, folder / f"{name}.json")
            return
        for name, spec in _wanted(_studies(options.part), options.only).items():
            asked = _at_once(spec, options.jobs)
            study, verdict, seconds = run_study(service, client, asked)
            write_study(asked, verdict, seconds=seconds, path=folder / f"{name}.json")
            console.print(f"\n{spec.name}: {seconds / 60:.0f} minutes", style="bold")
            console.print(verdict_page(verdict))
            console.print(summary(spec, verdict))
            if options.part in ("tune", "tune-long"):
                console.print(best_rates(spec, verdict))
            if options.part == "calibrate":
                console.print(single_runs_that_differ(client, study))


def _wanted(studies: dict[str, StudySpec], only: list[str] | None) -> dict[str, StudySpec]:
    return {name: spec for name, spec in studies.items() if only is None or name in only}


def _at_once(spec: StudySpec, num_jobs: int) -> StudySpec:
    """One more job than run waits, so that no core does."""
    return spec.model_copy(update={"max_active_jobs": num_jobs + 1})


def _studies(part: str) -> dict[str, StudySpec]:
    """By the names of their files."""
    chosen = {
        "chosen-contrast": chosen_contrast(),
        "chosen-contrast-tuned": tuned_chosen_contrast(),
    }
    long = {f"long-{objective}": long_confirmation(objective) for objective in OBJECTIVES}
    match part:
        case "tune":
            return {"tuning": tuning()}
        case "tune-long":
            return {f"tuning-long-{objective}": long_tuning(objective) for objective in OBJECTIVES}
        case "calibrate":
            return {"calibration": calibration()}
        case "screen":
            return {
                f"screening-{num_epochs}{RATE_MARK}{round(rate * 1e4)}": screening(num_epochs, rate)
                for num_epochs, rate in product(SCREENED_REUSE, SCREENING_RATES)
            }
        case "screen-long":
            return {
                f"screening-long-{num_epochs}": long_screening(num_epochs)
                for num_epochs in SCREENED_REUSE
            }
        case "chosen":
            return chosen
        case "chosen-long":
            return {"chosen-contrast-long": long_chosen_contrast()}
        case "long":
            return long
        case _:
            published = {
                f"confirmation-{objective}": confirmation(objective) for objective in OBJECTIVES
            }
            return published | chosen | long


if __name__ == "__main__":
    main()
