"""Jobs as people read them: a line in a list, a page of one job, its events, a plan."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.job_commands.display import (
    NOTHING,
    age_text,
    duration_text,
    safe,
    state_text,
    table,
    time_text,
)
from service.job_commands.result_tables import results_table, reverse_kl_table
from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.loss_spec import TeacherTopKObjective
from service.jobs.plans import Plan
from service.jobs.presets import Preset
from service.jobs.results import Failure, Job, JobEvent, JobResults, Progress, SpecWarning
from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, JobSpec, RegradeJobSpec


def jobs_table(jobs: Iterable[Job]) -> Table:
    """One line a job."""
    now = datetime.now(UTC)
    lines = table("job", "state", "doing", "name", "kind", "age", right=("age",))
    lines.columns[0].no_wrap = True
    for job in jobs:
        lines.add_row(
            job.id,
            state_text(job.state),
            doing_text(job),
            safe(job.name or NOTHING),
            job.spec.kind.value,
            age_text(job.created_at, now=now),
        )
    return lines


def job_page(job: Job, results: JobResults) -> RenderableType:
    """State, progress, what of the spec matters most, results, warnings and failure."""
    fields = Table.grid(padding=(0, 2))
    fields.add_column(style="bold")
    fields.add_column(overflow="fold")
    for name, value in _fields_of(job):
        fields.add_row(name, value)
    parts: list[RenderableType] = [fields]
    if results.evaluations:
        parts += [Text(), results_table(results)]
    if results.reverse_kls:
        parts += [Text(), reverse_kl_table(results)]
    if job.warnings:
        parts += [Text(), *warning_lines(job.warnings)]
    if job.failure is not None:
        parts += [Text(), *failure_lines(job.failure)]
    return Group(*parts)


def submitted_page(job: Job) -> RenderableType:
    return Group(state_line(job), *warning_lines(job.warnings))


def state_line(job: Job) -> Text:
    return Text.assemble(f"{job.id}  ", state_text(job.state))


def deleted_line(job: Job) -> Text:
    return Text(f"{job.id}  deleted")


def doing_text(job: Job) -> str:
    """The phase of a job that a worker holds, and how far it is."""
    phase = job.phase.value.replace("_", " ") if job.phase else ""
    return " ".join(part for part in (phase, progress_text(job.progress)) if part) or NOTHING


def progress_text(progress: Progress) -> str:
    """Of the evaluation under way, else of the training; empty where there is neither."""
    if progress.samples_to_evaluate:
        return f"{progress.evaluated_samples:,}/{progress.samples_to_evaluate:,} samples"
    if progress.total_steps:
        return f"{progress.step:,}/{progress.total_steps:,} steps"
    return ""


def warning_lines(warnings: Iterable[SpecWarning]) -> list[Text]:
    return [
        Text.assemble(("warning ", "yellow"), safe(f"{one.field}: {one.message}"))
        for one in warnings
    ]


def failure_lines(failure: Failure) -> list[Text]:
    return [
        Text.assemble(("failure ", "red"), safe(f"{failure.code}: {failure.message}")),
        *(
            safe(f"  {one.field}: given {one.given}; allowed: {one.allowed}")
            for one in failure.violations
        ),
    ]


def event_line(event: JobEvent) -> Text:
    message = " ".join(event.message.split())  # the end of a log has many lines
    return Text.assemble(
        f"{event.seq:>4}  {time_text(event.at)}  {event.type:<20}  ",
        state_text(event.state),
        safe(f"  {message}"),
    )


def plan_page(plan: Plan) -> RenderableType:
    """What a job would take; what is not known says why."""
    fields = Table.grid(padding=(0, 2))
    fields.add_column(style="bold")
    fields.add_column(overflow="fold")
    for name, counts in (("student", plan.student), ("teacher", plan.teacher)):
        if counts is not None:
            fields.add_row(name, f"{counts.total:,} parameters")
    if plan.trained_parameters is not None:
        fields.add_row("trained", f"{plan.trained_parameters:,} parameters")
    for memory in plan.memory:
        if memory.peak_bytes is not None:
            fields.add_row("memory", f"{memory.peak_bytes / 2**30:.2f} GiB in {memory.dtype}")
    if plan.job is not None:
        fields.add_row("tokens", f"{plan.job.total.tokens:,} at most")
        if plan.job.total.flops is not None:
            fields.add_row("FLOPs", f"{plan.job.total.flops:.3g} at most")
    for name, value in _time_and_disk(plan):
        fields.add_row(name, safe(value))
    for unknown in plan.unknown:
        fields.add_row("unknown", safe(f"{unknown.part}: {unknown.reason}"))
    return Group(
        Text("The spec would be accepted. Nothing was created."),
        fields,
        *warning_lines(plan.warnings),
    )


def _time_and_disk(plan: Plan) -> Iterable[tuple[str, str]]:
    if plan.time is not None:
        took = duration_text(plan.time.total_seconds)
        yield "time", f"{took} at most, at the rate of {plan.time.rate_source}"
    if plan.time_range is not None:
        low, high = plan.time_range.low_seconds, plan.time_range.high_seconds
        yield (
            "time",
            f"from {duration_text(low)} to {duration_text(high)}: {plan.time_range.assumption}",
        )
    if plan.disk is not None:
        models, checkpoints = plan.disk.models_bytes / 2**30, plan.disk.checkpoints_bytes / 2**30
        yield "disk", f"{models:.2f} GiB of models, {checkpoints:.2f} GiB of checkpoints"


def presets_table(presets: Sequence[Preset]) -> RenderableType:
    """Names and what each asks for."""
    lines = table("preset", "description")
    for preset in presets:
        lines.add_row(preset.name, safe(preset.description))
    return lines


def _fields_of(job: Job) -> Iterable[tuple[str, Text | str]]:
    yield "job", job.id
    if job.name is not None:
        yield "name", safe(job.name)
    yield "state", state_text(job.state)
    yield "doing", doing_text(job)
    if job.attempt:
        yield "attempt", str(job.attempt)
    yield "kind", job.spec.kind.value
    for name, value in _essentials_of(job):
        yield name, safe(value)
    if job.labels:
        yield "labels", safe(", ".join(f"{key}={value}" for key, value in job.labels.items()))
    if job.priority:
        yield "priority", str(job.priority)
    yield "created", time_text(job.created_at)
    if job.started_at is not None:
        yield "started", time_text(job.started_at)
        ended_at = job.finished_at or datetime.now(UTC)
        yield (
            "took" if job.finished_at else "so far",
            duration_text((ended_at - job.started_at).total_seconds()),
        )
    if job.finished_at is not None:
        yield "finished", time_text(job.finished_at)


def _essentials_of(job: Job) -> Iterable[tuple[str, str]]:
    match job.spec:
        case JobSpec() as spec:
            yield "student", spec.student.model
            yield "teacher", _teacher(spec)
            yield "objective", _objective(spec)
            yield "gate", f"{spec.gate.granularity}, block size {spec.gate.block_size}"
            yield "steps", f"{spec.steps:,} × {spec.reuse.epochs * spec.reuse.minibatches} updates"
            yield "learning rate", f"{spec.optimizer.learning_rate:g}"
            yield "benchmarks", _benchmarks(spec.evaluation)
        case EvaluationJobSpec() as spec:
            yield "model", spec.model.model
            yield "benchmarks", _benchmarks(spec.evaluation)
        case RegradeJobSpec() as spec:
            yield "regrades", spec.job_id
        case ExportJobSpec() as spec:
            step = "its newest step" if spec.step is None else f"step {spec.step:,}"
            yield "exports", f"{spec.job_id}, {step}"
            yield "destination", spec.destination.type


def _teacher(spec: JobSpec) -> str:
    teacher = spec.teacher
    if teacher.endpoint is None:
        return teacher.model
    return f"{teacher.name_on_server} on {teacher.endpoint}"


def _objective(spec: JobSpec) -> str:
    k = f", k {spec.objective.k}" if isinstance(spec.objective, TeacherTopKObjective) else ""
    return f"{spec.objective.type}{k}"


def _benchmarks(evaluation: EvaluationSpec) -> str:
    return ", ".join(benchmark.name for benchmark in evaluation.benchmarks) or NOTHING
