"""Memory of a job by part, in bytes, from its spec and the shapes of its models."""

from collections.abc import Iterator, Sequence

from service.jobs.loss_spec import TeacherTopKObjective
from service.jobs.plans import MemoryPlan
from service.jobs.spec import ComputeSpec, JobSpec
from service.preflight.adapter import adapter_activation_bytes, adapter_parameters
from service.preflight.architecture import Architecture
from service.preflight.tensor_sizes import (
    FLOAT32_BYTES,
    MAX_CHUNK_ELEMENTS,
    MAX_CHUNK_ELEMENTS_ON_GPU,
    activation_bytes,
    cache_bytes,
    evaluation_cache_bytes,
    logits_chunk_bytes,
    support_chunk_bytes,
    targets_bytes,
)
from service.preflight.work import num_reverse_kl_responses

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
    optimizer = gradients = activations = rollout_cache = engine_weights = None
    student_weights, teacher_weights = (
        None if model is None else model.parameter_counts().total * element_bytes
        for model in (student, teacher)
    )
    if spec.teacher.endpoint is not None:
        teacher_weights = 0  # its server has them
    if student is not None and student_weights is not None:
        engine_weights = student_weights if spec.compute.engine == "vllm" else 0
        gradients = _trained_bytes(spec, student)
        optimizer = _optimizer_bytes(spec, student, element_bytes=element_bytes)
        if spec.lora is not None:
            student_weights += gradients
        activations = _activation_bytes(spec, student, element_bytes=element_bytes)
        rollout_cache = cache_bytes(
            student,
            num_sequences=_num_sequences(spec, _num_sampled(spec)),
            num_positions=spec.rollout.max_prompt_tokens + spec.rollout.max_response_tokens,
            element_bytes=element_bytes,
        )
    head_chunk = _head_chunk_bytes(
        spec, vocab_size, student, num_tokens=num_tokens, element_bytes=element_bytes
    )
    rollout_logits = _num_sequences(spec, _num_sampled(spec)) * vocab_size * FLOAT32_BYTES
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
    num_shards = spec.resources.gpus
    student_weights, teacher_weights, optimizer, gradients = (
        None if each is None else -(-each // num_shards)
        for each in (student_weights, teacher_weights, optimizer, gradients)
    )
    plan = MemoryPlan(
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
        engine_weights_bytes=engine_weights,
        peak_bytes=None,
    )
    whole_student, whole_teacher = (
        _whole_bytes(model, num_shards=num_shards, element_bytes=element_bytes)
        for model in (student, teacher)
    )
    peak = _peak_bytes(spec, plan, whole_student=whole_student, whole_teacher=whole_teacher)
    return plan.model_copy(update={"peak_bytes": peak})


def _peak_bytes(
    spec: JobSpec, plan: MemoryPlan, *, whole_student: int | None, whole_teacher: int | None
) -> int | None:
    """What is always there and the largest phase; None where a part is not known. whole_…: see `_whole_bytes`."""
    is_teacher_away = spec.compute.offload in {"teacher", "both"}
    is_optimizer_away = spec.compute.offload in {"optimizer", "both"}
    # vLLM sleeps on a GPU only.
    is_engine_away = spec.compute.device == "cuda"
    teacher = plan.teacher_weights_bytes
    returned_optimizer = plan.optimizer_states_bytes if is_optimizer_away else 0
    returned_engine = plan.engine_weights_bytes if is_engine_away else 0
    always = (
        plan.student_weights_bytes,
        0 if is_teacher_away else teacher,
        0 if is_optimizer_away else plan.optimizer_states_bytes,
        0 if is_engine_away else plan.engine_weights_bytes,
    )
    rollout = (
        plan.rollout_cache_bytes,
        plan.rollout_logits_bytes,
        whole_student,
        returned_engine,
    )
    scoring = (
        teacher if is_teacher_away else 0,
        plan.head_chunk_bytes,
        plan.targets_bytes,
        whole_teacher,
    )
    update = (
        plan.gradients_bytes,
        plan.activations_bytes,
        plan.head_chunk_bytes,
        plan.targets_bytes,
        whole_student,
    )
    step = (plan.gradients_bytes, returned_optimizer, plan.targets_bytes)
    evaluation = (
        plan.evaluation_cache_bytes,
        returned_engine,
        whole_student,
        whole_teacher,
        teacher if is_teacher_away and spec.evaluation.evaluate_teacher else 0,
    )
    phases = (rollout, scoring, update, step, evaluation)
    if any(part is None for parts in (always, *phases) for part in parts):
        return None
    return _sum(always) + max(map(_sum, phases))


def _sum(parts: Sequence[int | None]) -> int:
    return sum(part or 0 for part in parts)


def _whole_bytes(model: Architecture | None, *, num_shards: int, element_bytes: int) -> int | None:
    """Of a model that is cut over several devices, what one of them puts together for a time, at the most.

    To sample, all weights; in an update embeddings and head, with their gradient and a float32 sum of it.
    """
    if num_shards == 1:
        return 0
    if model is None:
        return None
    counts = model.parameter_counts()
    root = (counts.embedding + counts.head) * (2 * element_bytes + FLOAT32_BYTES)
    return max(counts.total * element_bytes, root)


def _trained_bytes(spec: JobSpec, student: Architecture) -> int:
    """Of the parameters that the optimiser moves, in float32: so are gradients summed, and so are adapters."""
    if spec.lora is None:
        return student.parameter_counts().total * FLOAT32_BYTES
    return adapter_parameters(student, spec.lora) * FLOAT32_BYTES


def _optimizer_bytes(spec: JobSpec, student: Architecture, *, element_bytes: int) -> int:
    """AdamW's two moments; where a student trains in half precision they and its masters are float32."""
    num_copies = 3 if spec.lora is None and element_bytes < FLOAT32_BYTES else 2
    return num_copies * _trained_bytes(spec, student)


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


def _num_sampled(spec: JobSpec) -> int:
    """Responses of the largest rollout, which may be one that gradients are measured on."""
    wanted = spec.diagnostics.gradient_fidelity
    num_fresh = (wanted.fresh_samples_per_prompt or 0) if wanted is not None else 0
    return spec.rollout.prompts_per_step * max(spec.rollout.samples_per_prompt, num_fresh)


def _num_sequences(spec: JobSpec, num_wanted: int) -> int:
    return min(spec.compute.rollout_batch_size, num_wanted)


def _microbatch_tokens(spec: JobSpec) -> int:
    """Positions of the largest micro-batch: as many whole sequences as fit, and at least one."""
    longest = spec.rollout.max_prompt_tokens + spec.rollout.max_response_tokens
    num_fitting = max(1, spec.compute.max_tokens_per_microbatch // longest)
    # Fresh responses of a measurement are differentiated in two halves.
    num_at_once = max(_num_responses(spec), -(-_num_sampled(spec) // 2))
    num_in_minibatch = -(-num_at_once // spec.reuse.minibatches)
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
    max_elements = _max_chunk_elements(spec.compute, element_bytes=element_bytes)
    logits = logits_chunk_bytes(
        vocab_size, num_tokens=num_tokens, element_bytes=element_bytes, max_elements=max_elements
    )
    k = _support_size(spec)
    if k is None:
        return logits
    if student is None:
        return None
    rows = support_chunk_bytes(
        k,
        student.hidden_size,
        num_tokens=num_tokens,
        element_bytes=element_bytes,
        max_elements=max_elements,
    )
    return max(logits, rows)


def _max_chunk_elements(compute: ComputeSpec, *, element_bytes: int) -> int:
    """A GPU's where the job goes to one: `auto` computes in bfloat16 there, and there alone."""
    is_on_gpu = compute.device == "cuda" or (
        compute.device == "auto" and element_bytes < FLOAT32_BYTES
    )
    return MAX_CHUNK_ELEMENTS_ON_GPU if is_on_gpu else MAX_CHUNK_ELEMENTS


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
    if len(sizes) < len(models) or student is None:
        return None
    num_responses = max(num_reverse_kl_responses(spec, num_benchmark_problems))
    of_reverse_kl = cache_bytes(
        student,
        num_sequences=_num_sequences(spec, num_responses),
        num_positions=spec.rollout.max_prompt_tokens + spec.rollout.max_response_tokens,
        element_bytes=element_bytes,
    )
    return max(*sizes, of_reverse_kl)
