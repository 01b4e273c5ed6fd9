"""Memory of a job by part, in bytes, from its spec and the shapes of its models."""

from collections.abc import Iterator, Sequence

from service.jobs.loss_spec import TeacherTopKObjective
from service.jobs.plans import MemoryPlan
from service.jobs.spec import ComputeSpec, JobSpec
from service.preflight.adapter import adapter_activation_bytes, adapter_parameters
from service.preflight.architecture import Architecture
from service.preflight.tensor_sizes import (
    FLOAT32_BYTES,
    activation_bytes,
    cache_bytes,
    evaluation_cache_bytes,
    logits_chunk_bytes,
    support_chunk_bytes,
    targets_bytes,
)

BYTES_OF_DTYPE = {"float32": 4, "bfloat16": 2}


def memory_plans(
    spec: JobSpec,
    *,
    vocab_size: int,
    student: Architecture | None,
    teacher: Architecture | None,
    num_benchmark_problems: Sequence[int],
) -> tuple[MemoryPlan, ...]:
    """One plan for each dtype that the spec allows; parts of a model that is None are None."""
    return tuple(
        _memory_plan(
            spec,
            dtype,
            vocab_size=vocab_size,
            student=student,
            teacher=teacher,
            num_benchmark_problems=num_benchmark_problems,
        )
        for dtype in possible_dtypes(spec.compute)
    )


def _memory_plan(
    spec: JobSpec,
    dtype: str,
    *,
    vocab_size: int,
    student: Architecture | None,
    teacher: Architecture | None,
    num_benchmark_problems: Sequence[int],
) -> MemoryPlan:
    element_bytes = BYTES_OF_DTYPE[dtype]
    num_tokens = _microbatch_tokens(spec)
    optimizer = gradients = gradients_of_step = activations = rollout_cache = None
    student_weights, teacher_weights = (
        None if model is None else model.parameter_counts().total * element_bytes
        for model in (student, teacher)
    )
    if student is not None and student_weights is not None:
        gradients = _trained_bytes(spec, student, element_bytes=element_bytes)
        optimizer = _optimizer_bytes(spec, student, element_bytes=element_bytes)
        # The optimiser's step takes them in float32, when the activations are gone.
        gradients_of_step = gradients * FLOAT32_BYTES // element_bytes
        if spec.lora is not None:
            gradients_of_step = gradients
            student_weights += gradients
        elif element_bytes < FLOAT32_BYTES:
            gradients += student.num_head_weights * FLOAT32_BYTES
        activations = _activation_bytes(spec, student, element_bytes=element_bytes)
        rollout_cache = cache_bytes(
            student,
            num_sequences=_num_sequences(spec, _num_responses(spec)),
            num_positions=spec.rollout.max_prompt_tokens + spec.rollout.max_response_tokens,
            element_bytes=element_bytes,
        )
    head_chunk = _head_chunk_bytes(
        spec, vocab_size, student, num_tokens=num_tokens, element_bytes=element_bytes
    )
    rollout_logits = _num_sequences(spec, _num_responses(spec)) * vocab_size * FLOAT32_BYTES
    evaluation_cache = _evaluation_cache_bytes(
        spec,
        student,
        teacher,
        num_benchmark_problems=num_benchmark_problems,
        element_bytes=element_bytes,
    )
    targets = targets_bytes(
        num_tokens=_num_responses(spec) * spec.rollout.max_response_tokens, k=_support_size(spec)
    )
    return MemoryPlan(
        dtype=dtype,
        student_weights_bytes=student_weights,
        teacher_weights_bytes=teacher_weights,
        optimizer_states_bytes=optimizer,
        gradients_bytes=gradients,
        activations_bytes=activations,
        targets_bytes=targets,
        head_chunk_bytes=head_chunk,
        rollout_cache_bytes=rollout_cache,
        rollout_logits_bytes=rollout_logits,
        evaluation_cache_bytes=evaluation_cache,
        peak_bytes=_peak_bytes(
            always=(student_weights, teacher_weights, optimizer),
            phases=(
                (rollout_cache, rollout_logits),
                (gradients, activations, head_chunk, targets),
                (gradients_of_step, targets),
                (evaluation_cache,),
            ),
        ),
    )


def _trained_bytes(spec: JobSpec, student: Architecture, *, element_bytes: int) -> int:
    """Of the parameters that the optimiser moves; adapters are never narrower than float32."""
    if spec.lora is None:
        return student.parameter_counts().total * element_bytes
    return adapter_parameters(student, spec.lora) * max(element_bytes, FLOAT32_BYTES)


def _optimizer_bytes(spec: JobSpec, student: Architecture, *, element_bytes: int) -> int:
    """AdamW's two moments; where a student trains in half precision they and its masters are float32."""
    if spec.lora is None and element_bytes < FLOAT32_BYTES:
        return 3 * student.parameter_counts().total * FLOAT32_BYTES
    return 2 * _trained_bytes(spec, student, element_bytes=element_bytes)


def _activation_bytes(spec: JobSpec, student: Architecture, *, element_bytes: int) -> int:
    """With adapters an upper bound: frozen weights let some inputs go."""
    num_tokens, is_checkpointed = _microbatch_tokens(spec), spec.compute.gradient_checkpointing
    of_body = activation_bytes(
        student,
        num_tokens=num_tokens,
        element_bytes=element_bytes,
        is_checkpointed=is_checkpointed,
    )
    if spec.lora is None:
        return of_body
    of_adapters = adapter_activation_bytes(
        student, spec.lora, num_tokens=num_tokens, element_bytes=element_bytes
    )
    # Only one layer at a time is whole where layers are checkpointed.
    return of_body + of_adapters // (student.num_layers if is_checkpointed else 1)


def _peak_bytes(
    *, always: tuple[int | None, ...], phases: tuple[tuple[int | None, ...], ...]
) -> int | None:
    if any(part is None for parts in (always, *phases) for part in parts):
        return None
    return _sum(always) + max(_sum(parts) for parts in phases)


def _sum(parts: tuple[int | None, ...]) -> int:
    return sum(part or 0 for part in parts)


def possible_dtypes(compute: ComputeSpec) -> Iterator[str]:
    """`auto` is bfloat16 on GPUs that compute it, float32 elsewhere."""
    given = compute.dtype
    if given != "auto":
        yield given
        return
    yield "float32"
    if compute.device != "cpu":
        yield "bfloat16"


def _num_responses(spec: JobSpec) -> int:
    return spec.rollout.prompts_per_step * spec.rollout.samples_per_prompt


def _num_sequences(spec: JobSpec, num_wanted: int) -> int:
    return min(spec.compute.rollout_batch_size, num_wanted)


def _microbatch_tokens(spec: JobSpec) -> int:
    """Positions of the largest micro-batch: as many whole sequences as fit, and at least one."""
    longest = spec.rollout.max_prompt_tokens + spec.rollout.max_response_tokens
    num_fitting = max(1, spec.compute.max_tokens_per_microbatch // longest)
    num_in_minibatch = -(-_num_responses(spec) // spec.reuse.minibatches)
    if num_fitting >= num_in_minibatch:
        return num_in_minibatch * longest
    # Shorter sequences may fill the budget to the brim.
    return max(longest, spec.compute.max_tokens_per_microbatch)


def _support_size(spec: JobSpec) -> int | None:
    return spec.objective.k if isinstance(spec.objective, TeacherTopKObjective) else None


def _head_chunk_bytes(
    spec: JobSpec,
    vocab_size: int,
    student: Architecture | None,
    *,
    num_tokens: int,
    element_bytes: int,
) -> int | None:
    logits = logits_chunk_bytes(vocab_size, num_tokens=num_tokens, element_bytes=element_bytes)
    k = _support_size(spec)
    if k is None:
        return logits
    if student is None:
        return None
    rows = support_chunk_bytes(
        k, student.hidden_size, num_tokens=num_tokens, element_bytes=element_bytes
    )
    return max(logits, rows)


def _evaluation_cache_bytes(
    spec: JobSpec,
    student: Architecture | None,
    teacher: Architecture | None,
    *,
    num_benchmark_problems: Sequence[int],
    element_bytes: int,
) -> int | None:
    """0 where nothing is evaluated."""
    if not spec.evaluation.benchmarks:
        return 0
    models = (student, teacher) if spec.evaluation.evaluate_teacher else (student,)
    sizes = [
        evaluation_cache_bytes(
            model,
            spec.evaluation,
            num_benchmark_problems=num_benchmark_problems,
            max_prompt_tokens=spec.rollout.max_prompt_tokens,
            batch_size=spec.compute.rollout_batch_size,
            element_bytes=element_bytes,
        )
        for model in models
        if model is not None
    ]
    return max(sizes) if len(sizes) == len(models) else None
