"""What an evaluation of a model will take, and the empty plan of a job that runs no model."""

from service.jobs.plans import JobWork, MemoryPlan, Plan, UnknownPart, Work
from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, RegradeJobSpec
from service.preflight.architecture import Architecture
from service.preflight.evaluation_checks import EvaluationFindings
from service.preflight.forward_work import evaluation_work
from service.preflight.memory import BYTES_OF_DTYPE, possible_dtypes
from service.preflight.plan import MeasuredRate, reasons_for_no_time, time_plan, why_unknown
from service.preflight.tensor_sizes import FLOAT32_BYTES, evaluation_cache_bytes


def make_evaluation_plan(
    spec: EvaluationJobSpec, findings: EvaluationFindings, *, rate: MeasuredRate | None
) -> Plan:
    """As of a distillation without its training; the parts of an unknown architecture are None."""
    facts = findings.model
    model = facts.architecture if facts and isinstance(facts.architecture, Architecture) else None
    evaluation = evaluation_work(
        spec.evaluation,
        findings.num_benchmark_problems,
        model,
        max_prompt_tokens=spec.max_prompt_tokens,
    )
    job = JobWork(training=Work(tokens=0, flops=0), evaluation=evaluation, total=evaluation)
    unknown = []
    reason = why_unknown(spec.model, facts)
    if reason is not None:
        unknown.append(UnknownPart(part="student", reason=reason))
    if facts is None:
        unknown.append(UnknownPart(part="memory", reason="the model is not known"))
    unknown += reasons_for_no_time(job, rate=rate)
    return Plan(
        spec=spec,
        warnings=findings.warnings,
        student=model and model.parameter_counts(),
        teacher=None,
        trained_parameters=None,
        memory=()
        if facts is None
        else tuple(
            _memory_plan(spec, findings, model, vocab_size=facts.vocab_size, dtype=dtype)
            for dtype in possible_dtypes(spec.compute)
        ),
        step=None,
        job=job,
        time=time_plan(None, job, rate=rate),
        unknown=tuple(unknown),
    )


def make_plan_without_model(spec: RegradeJobSpec | ExportJobSpec) -> Plan:
    """No model is run."""
    return Plan(
        spec=spec,
        warnings=(),
        student=None,
        teacher=None,
        trained_parameters=None,
        memory=(),
        step=None,
        job=None,
        time=None,
        unknown=(),
    )


def _memory_plan(
    spec: EvaluationJobSpec,
    findings: EvaluationFindings,
    model: Architecture | None,
    *,
    vocab_size: int,
    dtype: str,
) -> MemoryPlan:
    """Weights, cache and logits; what training would need is 0."""
    num_samples = sum(
        spec.evaluation.samples_of(benchmark) * num_problems
        for benchmark, num_problems in zip(
            spec.evaluation.benchmarks, findings.num_benchmark_problems, strict=True
        )
    )
    num_sequences = min(spec.compute.rollout_batch_size, num_samples)
    logits = num_sequences * vocab_size * FLOAT32_BYTES
    weights = cache = engine_weights = None
    if model is not None:
        weights = model.parameter_counts().total * BYTES_OF_DTYPE[dtype]
        engine_weights = weights if spec.compute.engine == "vllm" else 0
        cache = evaluation_cache_bytes(
            model,
            spec.evaluation,
            num_benchmark_problems=findings.num_benchmark_problems,
            max_prompt_tokens=spec.max_prompt_tokens,
            batch_size=spec.compute.rollout_batch_size,
            element_bytes=BYTES_OF_DTYPE[dtype],
        )
    return MemoryPlan(
        dtype=dtype,
        student_weights_bytes=weights,
        teacher_weights_bytes=0,
        optimizer_states_bytes=0,
        gradients_bytes=0,
        activations_bytes=0,
        targets_bytes=0,
        head_chunk_bytes=0,
        rollout_cache_bytes=0,
        rollout_logits_bytes=logits,
        evaluation_cache_bytes=cache,
        engine_weights_bytes=engine_weights,
        peak_bytes=None
        if weights is None or cache is None or engine_weights is None
        else weights + cache + logits + engine_weights,
    )
