"""The demo's figures as tables for a terminal."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.demo.figures import SEED_NOTE, DemoFigures, JobFigures, PairFigures
from service.jobs.results import Estimate


def demo_tables(figures: DemoFigures) -> RenderableType:
    """The four tables: gain, paired difference, gate and drift, tokens and seconds."""
    return Group(
        _gain_table(figures.jobs),
        Text("95 % intervals: bootstrap over problems. A star: the interval excludes zero.\n"),
        _pair_table(figures.pairs),
        Text(f"Paired on the same problems and samples' seeds; {SEED_NOTE}.\n"),
        _gate_table(figures.jobs),
        Text("Normalised gate and drift d = log pi_cur − log pi_old, over all updates.\n"),
        _cost_table(figures.jobs),
    )


def _gain_table(jobs: Iterable[JobFigures]) -> Table:
    table = _table(
        "The student before and after distillation", "job", "", "before", "after", "difference"
    )
    for job in jobs:
        for name, gain in (("pass@1", job.pass_at_1), ("pass@8", job.pass_at_8)):
            table.add_row(
                job.name if name == "pass@1" else "",
                name,
                _interval(gain.before),
                _interval(gain.after),
                _signed_interval(gain.difference),
            )
        table.add_section()
    return table


def _pair_table(pairs: Iterable[PairFigures]) -> Table:
    table = _table("With the gate minus without it", "pair", "pass@1", "pass@8")
    for pair in pairs:
        table.add_row(
            f"{pair.gated} − {pair.ungated}",
            _signed_interval(pair.pass_at_1),
            _signed_interval(pair.pass_at_8),
        )
    return table


def _gate_table(jobs: Iterable[JobFigures]) -> Table:
    table = _table(
        "What the gate did",
        "job",
        "gate std, mean",
        "std, max",
        "min gate",
        "max gate",
        "mean d, nats",
        "mean |d|, nats",
    )
    for job in jobs:
        gate, drift = job.gate_dispersion, job.drift
        values = (gate.mean_std, gate.max_std, gate.min, gate.max, drift.mean, drift.mean_abs)
        table.add_row(job.name, *map(_number, values))
    return table


def _cost_table(jobs: Iterable[JobFigures]) -> Table:
    table = _table(
        "Tokens and seconds by phase",
        "job",
        "rollout",
        "scoring",
        "updates",
        "evaluation",
        "whole job",
    )
    for job in jobs:
        phases = job.phases
        costs = (phases.rollout, phases.scoring, phases.updates, phases.evaluation)
        table.add_row(
            job.name,
            *(f"{cost.tokens:,} tok  {cost.seconds:.1f} s" for cost in costs),
            f"{job.seconds:.1f} s",
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _interval(value: Estimate) -> str:
    return f"{value.estimate:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _signed_interval(value: Estimate) -> str:
    star = " *" if value.low > 0 or value.high < 0 else "  "
    return f"{value.estimate:+.3f} [{value.low:+.3f}, {value.high:+.3f}]{star}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
