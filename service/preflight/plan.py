"""What a job that passed its checks will take: parameters, memory, tokens, FLOPs and time."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.jobs.plans import JobWork, Plan, StepWork, TimePlan, UnknownPart
from service.jobs.results import Job
from service.jobs.spec import EvaluationJobSpec, JobSpec, num_devices_of
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherSpec, TeacherVocabulary
from service.preflight.adapter import adapter_parameters
from service.preflight.architecture import Architecture, UnknownArchitecture
from service.preflight.checks import Findings
from service.preflight.disk import disk_plan
from service.preflight.doubts import why_unseen
from service.preflight.memory import memory_plans
from service.preflight.model_files import ModelFacts
from service.preflight.time_range import time_range
from service.preflight.work import job_work, step_work

HOW_TO_MEASURE = (
    "no device rate is known: no job with these models, device and dtype has succeeded in one "
    "attempt, and DRIFTGATE_DEVICE_FLOPS is not set; to measure it, divide job.total.flops of a "
    "finished job's plan by its seconds from started_at to finished_at"
)


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """FLOP/s of whole jobs, in the plan's own FLOPs, and where it comes from."""

    flops_per_second: float
    source: str


def make_plan(spec: JobSpec, findings: Findings, *, rate: MeasuredRate | None) -> Plan:
    """The plan; parts of a model of unknown architecture are None, as is the time without a rate."""
    known = findings.student or findings.teacher  # their vocabularies are as large
    if known is None:
        return _plan_without_models(spec, findings)
    student, teacher = _known(findings.student), _known(findings.teacher)
    vocab_size = known.vocab_size
    step = step_work(spec, vocab_size=vocab_size, student=student, teacher=teacher)
    job = job_work(
        spec,
        step,
        student=student,
        teacher=teacher,
        num_benchmark_problems=findings.num_benchmark_problems,
    )
    return Plan(
        spec=spec,
        warnings=findings.warnings,
        student=student and student.parameter_counts(),
        teacher=teacher and teacher.parameter_counts(),
        trained_parameters=_num_trained_parameters(spec, student),
        memory=memory_plans(
            spec,
            vocab_size=vocab_size,
            student=student,
            teacher=teacher,
            num_benchmark_problems=findings.num_benchmark_problems,
        ),
        step=step,
        job=job,
        time=time_plan(step, job, rate=rate),
        time_range=time_range(
            spec, step, job, student=student, num_benchmark_problems=findings.num_benchmark_problems
        )
        if rate is None
        else None,
        disk=disk_plan(spec, student=student, teacher=teacher),
        unknown=(*_unknown_models(spec, findings), *reasons_for_no_time(job, rate=rate)),
    )


def _plan_without_models(spec: JobSpec, findings: Findings) -> Plan:
    """Of two models that only the worker can read: everything hangs on the vocabulary's size."""
    reason = "neither model is known"
    return Plan(
        spec=spec,
        warnings=findings.warnings,
        student=None,
        teacher=None,
        trained_parameters=None,
        memory=(),
        step=None,
        job=None,
        time=None,
        unknown=(
            *_unknown_models(spec, findings),
            *(UnknownPart(part=part, reason=reason) for part in ("memory", "step", "job", "time")),
        ),
    )


def is_comparable(spec: JobSpec | EvaluationJobSpec, job: Job) -> bool:
    """Whether the job's rate says how fast the spec will run: finished at one go, on as many devices of the same kind."""
    other = job.spec
    return (
        isinstance(other, JobSpec | EvaluationJobSpec)
        and job.attempt == 1
        and job.started_at is not None
        and job.finished_at is not None
        and _models(other) == _models(spec)
        and _devices(other) == _devices(spec)
    )


def _devices(spec: JobSpec | EvaluationJobSpec) -> tuple[object, ...]:
    """What a rate depends on beside the models."""
    compute = spec.compute
    return compute.device, compute.dtype, compute.engine, num_devices_of(spec)


def _models(spec: JobSpec | EvaluationJobSpec) -> tuple[ModelSpec, ...]:
    """Of two kinds of job they are never as many."""
    return (spec.model,) if isinstance(spec, EvaluationJobSpec) else (spec.student, spec.teacher)


def measured_rate(job: Job, plan: Plan) -> MeasuredRate | None:
    """The FLOPs of a finished job's own plan over the seconds that it took, loading included.

    A plan made with it shares the plan's own errors: shorter responses than the limit, slow decoding.
    """
    assert job.started_at is not None
    assert job.finished_at is not None
    flops = None if plan.job is None else plan.job.total.flops
    seconds = (job.finished_at - job.started_at).total_seconds()
    if flops is None or seconds <= 0:
        return None
    return MeasuredRate(flops / seconds, f"job {job.id}")


def _known(facts: ModelFacts | None) -> Architecture | None:
    if facts is None or isinstance(facts.architecture, UnknownArchitecture):
        return None
    return facts.architecture


def _num_trained_parameters(spec: JobSpec, student: Architecture | None) -> int | None:
    if student is None:
        return None
    if spec.lora is not None:
        return adapter_parameters(student, spec.lora)
    return student.parameter_counts().total


def time_plan(step: StepWork | None, job: JobWork, *, rate: MeasuredRate | None) -> TimePlan | None:
    """None where the FLOPs or the rate are not known; no step where nothing is trained."""
    step_flops = 0 if step is None else step.total.flops
    if (
        rate is None
        or step_flops is None
        or job.training.flops is None
        or job.evaluation.flops is None
    ):
        return None
    training_seconds = job.training.flops / rate.flops_per_second
    evaluation_seconds = job.evaluation.flops / rate.flops_per_second
    return TimePlan(
        seconds_per_step=step_flops / rate.flops_per_second,
        training_seconds=training_seconds,
        evaluation_seconds=evaluation_seconds,
        total_seconds=training_seconds + evaluation_seconds,
        flops_per_second=rate.flops_per_second,
        rate_source=rate.source,
    )


def reasons_for_no_time(job: JobWork, *, rate: MeasuredRate | None) -> list[UnknownPart]:
    """Why `time_plan` gives None; empty where it does not."""
    if job.total.flops is None:
        return [UnknownPart(part="time", reason="the FLOPs are not known")]
    if rate is None:
        return [UnknownPart(part="time", reason=HOW_TO_MEASURE)]
    return []


def why_unknown(model: ModelSpec, facts: ModelFacts | None) -> str | None:
    """Why the model's part of a plan is None; None where it is not."""
    if isinstance(model, TeacherSpec) and model.vocabulary is TeacherVocabulary.SERVER:
        return "no files of it are read: its server is asked, by the worker"
    if facts is None:
        return f"checked by the worker: {why_unseen(model)}"
    architecture = facts.architecture
    return architecture.reason if isinstance(architecture, UnknownArchitecture) else None


def _unknown_models(spec: JobSpec, findings: Findings) -> Iterator[UnknownPart]:
    for part, model, facts in (
        ("student", spec.student, findings.student),
        ("teacher", spec.teacher, findings.teacher),
    ):
        reason = why_unknown(model, facts)
        if reason is not None:
            yield UnknownPart(part=part, reason=reason)
