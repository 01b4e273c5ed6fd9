"""Studies as people read them: a line in a list, a page of arms with their seeds as dots, a plan."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.job_commands.display import (
    NOTHING,
    STYLES,
    age_text,
    duration_text,
    safe,
    table,
)
from service.job_commands.seed_dots import Scale, scale_of, seed_dots
from service.jobs.state import JobState
from service.jobs.studies import (
    DELETED,
    PENDING,
    PlannedArm,
    PlannedResolution,
    Study,
    StudyArm,
    StudyEvent,
    StudyPlan,
    StudyProgress,
    StudyRun,
    StudyState,
    StudySummary,
)
from service.jobs.study_arms import ArmPreset
from service.jobs.study_verdicts import ArmFigures, ArmVerdict, StudyVerdict

STATE_STYLES = {
    StudyState.RUNNING: "cyan",
    StudyState.PAUSED: "magenta",
    StudyState.CANCELLING: "yellow",
    StudyState.CANCELLED: "yellow",
    StudyState.COMPLETED: "green",
}
MARKS = {
    PENDING: "·",
    DELETED: "–",
    JobState.SUCCEEDED: "●",
    JobState.FAILED: "✗",
    JobState.CANCELLED: "–",
}
ACTIVE_MARK, COLLAPSED_MARK = "◐", "▼"
LEGEND = "● done  ▼ collapsed  ✗ failed  ◐ waits or runs  · not submitted  – cancelled or deleted"


def studies_table(studies: Iterable[StudySummary]) -> Table:
    """One line a study."""
    now = datetime.now(UTC)
    lines = table("study", "state", "name", "arms × seeds", "runs", "age", right=("runs", "age"))
    lines.columns[0].no_wrap = True
    for one in studies:
        lines.add_row(
            one.id,
            state_text(one.state),
            safe(one.name or NOTHING),
            f"{len(one.arms)} × {one.num_seeds}",
            f"{_num_ended(one.progress)}/{one.progress.num_runs}",
            age_text(one.created_at, now=now),
        )
    return lines


def study_page(study: Study, verdict: StudyVerdict) -> RenderableType:
    """Its arms in the metric of its contrast: how the runs ended, the mean with its interval, every seed a dot."""
    metric = study.spec.contrast.metric
    found = {arm.arm: arm for arm in verdict.arms}
    scale = scale_of([arm.metrics[metric] for arm in verdict.arms if metric in arm.metrics])
    return Group(
        study_line(study),
        safe(study.name or NOTHING, style="bold"),
        Text(progress_text(study.progress)),
        *([safe(study.reason, style="yellow")] if study.reason else []),
        Text(),
        _arms_table(study, found, metric=metric, scale=scale),
        Text(),
        safe(verdict.contrast.reading)
        if verdict.contrast
        else Text("No run of both arms of the contrast yet."),
        Text(LEGEND, style="dim"),
    )


def study_line(study: Study) -> Text:
    return Text.assemble(f"{study.id}  ", state_text(study.state))


def state_text(state: StudyState) -> Text:
    return Text(state.value, style=STATE_STYLES[state])


def progress_text(progress: StudyProgress) -> str:
    """The runs, and the steps of all of them."""
    parts = [
        f"{_num_ended(progress)} of {progress.num_runs} runs ended",
        f"{progress.num_active} active",
    ]
    if progress.num_failed:
        parts.append(f"{progress.num_failed} failed")
    return f"{', '.join(parts)}; {progress.step:,}/{progress.total_steps:,} steps"


def event_line(event: StudyEvent) -> Text:
    return Text.assemble(
        f"{event.seq:>4}  {event.at:%Y-%m-%d %H:%M:%S}  ",
        state_text(event.state),
        "  ",
        safe(event.message),
    )


def plan_page(plan: StudyPlan) -> RenderableType:
    """What it costs, what it can resolve, and what to know."""
    total = [f"{plan.num_jobs} jobs"]
    if plan.tokens is not None:
        total.append(f"at most {plan.tokens:,} tokens")
    if plan.seconds_side_by_side is not None:
        total.append(
            f"about {duration_text(plan.seconds_side_by_side)} with {plan.spec.max_active_jobs} at once"
        )
    return Group(
        Text(", ".join(total), style="bold"),
        Text(),
        _planned_arms(plan.arms),
        Text(),
        _planned_resolution(plan.resolution),
        Text(),
        *(safe(note) for note in plan.notes),
    )


def presets_table(presets: Iterable[ArmPreset]) -> Table:
    lines = table("preset", "what it is")
    lines.columns[0].no_wrap = True
    for preset in presets:
        lines.add_row(preset.name, safe(preset.description))
    return lines


def _arms_table(
    study: Study, found: Mapping[str, ArmVerdict], *, metric: str, scale: Scale | None
) -> Table:
    ends = "" if scale is None else f"{scale.low:.3f} to {scale.high:.3f}"
    lines = table("arm", "seeds", metric, "95 % over seeds", ends, right=(metric,))
    for arm in study.arms:
        figures = found[arm.name].metrics.get(metric)
        name = safe(arm.name, style="bold" if arm.name == study.spec.contrast.arm else "")
        if arm.name == study.spec.baseline:
            name.append(" (baseline)", style="dim")
        lines.add_row(name, _run_marks(arm), *_figure_cells(figures, scale))
    return lines


def _figure_cells(figures: ArmFigures | None, scale: Scale | None) -> tuple[str, str, Text]:
    if figures is None or scale is None:
        return NOTHING, NOTHING, Text()
    interval = (
        NOTHING
        if figures.low is None or figures.high is None
        else f"[{figures.low:.3f}, {figures.high:.3f}]"
    )
    return f"{figures.mean:.3f}", interval, seed_dots(figures, scale)


def _run_marks(arm: StudyArm) -> Text:
    marks = Text()
    for run in arm.runs:
        marks.append(*_mark(run))
    return marks


def _mark(run: StudyRun) -> tuple[str, str]:
    """A sign and its style."""
    if run.collapsed:
        return COLLAPSED_MARK, "red"
    mark = MARKS.get(run.state, ACTIVE_MARK)
    style = STYLES[JobState(run.state)] if run.state in STYLES else "dim"
    return mark, style


def _planned_arms(arms: Iterable[PlannedArm]) -> Table:
    columns = ("tokens a job", "seconds a job")
    lines = table("arm", *columns, "warnings", right=columns)
    for arm in arms:
        lines.add_row(
            safe(arm.arm),
            NOTHING if arm.tokens is None else f"{arm.tokens:,}",
            NOTHING if arm.seconds is None else f"{arm.seconds:,.0f}",
            safe("; ".join(dict.fromkeys(one.code for one in arm.warnings)) or NOTHING),
        )
    return lines


def _planned_resolution(resolution: Iterable[PlannedResolution]) -> Table:
    columns = ("smallest difference found", "half width", "smallest p", "seeds needed")
    lines = table("metric", *columns, right=columns)
    for one in resolution:
        smallest = one.smallest_detectable_difference
        lines.add_row(
            one.metric,
            NOTHING if smallest is None else f"{smallest:.3f}",
            f"{one.expected_half_width:.3f}",
            f"{one.smallest_p_value:.3g}",
            NOTHING if one.seeds_needed is None else f"{one.seeds_needed:,}",
        )
    return lines


def _num_ended(progress: StudyProgress) -> int:
    return progress.num_runs - progress.num_pending - progress.num_active
