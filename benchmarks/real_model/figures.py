"""What a run of the real model measured, as JSON and as tables."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text as Line

NUM_AVERAGED = 3  # steps at either end: one step has a few hundred sampled tokens


@dataclass(slots=True)
class StepFigures:
    """Nats. support_kl: the loss, KL(student ‖ teacher) on the teacher's most likely tokens. sampled_kl: log pi − log q
    averaged over the sampled tokens, which is the whole reverse KL with the noise of a few hundred of them.
    """

    step: int
    support_kl: float
    sampled_kl: float
    num_tokens: float
    seconds: Mapping[str, float]


@dataclass(slots=True)
class Figures:
    """Held-out figures are of the student before and after the job; perplexities of the teacher's own text."""

    problems: str
    num_layers: tuple[int, int]
    num_parameters: tuple[int, int]
    stage_seconds: dict[str, float] = field(default_factory=dict)
    steps: list[StepFigures] = field(default_factory=list)
    perplexity: tuple[float, float] = (0.0, 0.0)
    teacher_perplexity: float = 0.0
    reverse_kl: tuple[float, float] = (0.0, 0.0)
    job_peak_bytes: float = 0.0
    own_peak_bytes: float = 0.0

    def first_and_last_steps(self) -> tuple[float, float]:
        """Mean loss of the first and of the last steps, nats."""
        values = [each.support_kl for each in self.steps]
        return statistics.mean(values[:NUM_AVERAGED]), statistics.mean(values[-NUM_AVERAGED:])

    def fell(self) -> dict[str, bool]:
        """Whether each of the three figures fell."""
        first, last = self.first_and_last_steps()
        return {
            "the loss over the job's steps": last < first,
            "reverse KL on held-out problems": self.reverse_kl[1] < self.reverse_kl[0],
            "held-out perplexity": self.perplexity[1] < self.perplexity[0],
        }

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"fell": self.fell()}


def tables(figures: Figures) -> RenderableType:
    return Group(
        _steps_table(figures.steps),
        Line(
            "Loss: KL(student ‖ teacher) on the teacher's most likely 4,096 tokens, nats a token. Sampled: "
            "log π − log q\naveraged over the step's tokens.\n"
        ),
        _held_out_table(figures),
        Line(
            "Perplexity: of text that the whole model wrote to held-out problems at temperature 1.\n"
            "Reverse KL: over the whole vocabulary, on text that the student wrote to them, nats a token.\n"
        ),
        _stages_table(figures),
    )


def _steps_table(steps: Iterable[StepFigures]) -> Table:
    table = _table(
        "The job, step by step",
        "step",
        "loss",
        "sampled reverse KL",
        "tokens",
        "rollout s",
        "scoring s",
        "updates s",
    )
    for each in steps:
        seconds = [f"{each.seconds[name]:.1f}" for name in ("rollout", "scoring", "updates")]
        nats = f"{each.support_kl:.3f}", f"{each.sampled_kl:.3f}"
        table.add_row(str(each.step), *nats, f"{each.num_tokens:.0f}", *seconds)
    return table


def _held_out_table(figures: Figures) -> Table:
    table = _table("The student before and after", "", "before", "after", "whole model")
    first, last = figures.first_and_last_steps()
    table.add_row(f"loss, first and last {NUM_AVERAGED} steps", f"{first:.3f}", f"{last:.3f}", "0")
    before, after = figures.reverse_kl
    table.add_row("reverse KL, held-out problems", f"{before:.3f}", f"{after:.3f}", "0")
    before, after = figures.perplexity
    table.add_row(
        "perplexity, held-out text",
        f"{before:.2f}",
        f"{after:.2f}",
        f"{figures.teacher_perplexity:.2f}",
    )
    return table


def _stages_table(figures: Figures) -> Table:
    table = _table("Time and memory", "", "")
    for name, seconds in figures.stage_seconds.items():
        table.add_row(name, f"{seconds:.1f} s")
    table.add_row("memory of the job at its peak", f"{figures.job_peak_bytes / 2**30:.2f} GiB")
    table.add_row("memory of this script at its peak", f"{figures.own_peak_bytes / 2**30:.2f} GiB")
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def step_figures(
    columns: Mapping[str, Sequence[float | None]], steps: Sequence[int]
) -> list[StepFigures]:
    """One entry a step, of its first update, with the seconds of all of its updates."""
    by_step: dict[int, StepFigures] = {}
    for place, step in enumerate(steps):
        row = {name: values[place] for name, values in columns.items()}
        if step not in by_step:
            by_step[step] = StepFigures(
                step=step,
                support_kl=row["train/loss"] or 0.0,
                sampled_kl=row["objective/teacher_log_ratio"] or 0.0,
                num_tokens=row["rollout/response_tokens"] or 0.0,
                seconds={
                    "rollout": row["rollout/seconds"] or 0.0,
                    "scoring": row["score/seconds"] or 0.0,
                    "updates": 0.0,
                },
            )
        of_step = by_step[step]
        of_step.seconds = {
            **of_step.seconds,
            "updates": of_step.seconds["updates"] + (row["train/update_seconds"] or 0.0),
        }
    return list(by_step.values())
