"""Tokens and FLOPs of a job by phase, every prompt and response at its limit.

A backward pass costs twice its forward pass.
"""

from collections.abc import Sequence

from service.jobs.loss_spec import (
    AdaptiveStrength,
    Direction,
    Granularity,
    Normalization,
    TeacherTopKObjective,
)
from service.jobs.plans import JobWork, StepWork, Work
from service.jobs.spec import JobSpec
from service.preflight.adapter import adapter_parameters
from service.preflight.architecture import Architecture
from service.preflight.forward_work import (
    Batch,
    attention_flops,
    evaluation_work,
    forward,
    share,
    times,
    total,
    weight_flops,
)
from service.preflight.tensor_sizes import chunk_tokens

# In forward passes; the weights of frozen layers have no gradient.
FORWARD_AND_BACKWARD, FORWARD_AND_BACKWARD_FROZEN = 3, 2


def step_work(
    spec: JobSpec,
    *,
    vocab_size: int,
    student: Architecture | None,
    teacher: Architecture | None,
) -> StepWork:
    """One rollout batch; FLOPs of a model that is None are None."""
    rollout = spec.rollout
    num_responses = rollout.prompts_per_step * rollout.samples_per_prompt
    generated = Batch(
        num_prompts=rollout.prompts_per_step,
        num_responses=num_responses,
        prompt_tokens=rollout.max_prompt_tokens,
        response_tokens=rollout.max_response_tokens,
    )
    # Scored and trained on, each response stands behind a prompt of its own.
    scored = Batch(
        num_prompts=num_responses,
        num_responses=num_responses,
        prompt_tokens=rollout.max_prompt_tokens,
        response_tokens=rollout.max_response_tokens,
    )
    adapters = _num_adapter_parameters(spec, student)
    scoring = forward(scored, student, num_adapter_parameters=adapters)
    phases = {
        "rollout": forward(generated, student, num_adapter_parameters=adapters),
        "teacher_scoring": _teacher_scoring(spec, scored, teacher),
        "student_scoring": share(scoring, *_num_scoring_passes(spec, vocab_size)),
        "updates": times(_update(spec, scored, student), spec.reuse.epochs),
    }
    return StepWork(**phases, total=total(tuple(phases.values())))


def _teacher_scoring(spec: JobSpec, batch: Batch, teacher: Architecture | None) -> Work:
    """A server's FLOPs are not the worker's."""
    if spec.teacher.endpoint is not None:
        return Work(tokens=batch.num_tokens, flops=0)
    return forward(batch, teacher)


def job_work(
    spec: JobSpec,
    step: StepWork,
    *,
    student: Architecture | None,
    teacher: Architecture | None,
    num_benchmark_problems: Sequence[int],
) -> JobWork:
    """All steps, and the benchmarks before, during and after them."""
    training = times(step.total, spec.steps)
    evaluation = _evaluations(spec, num_benchmark_problems, student=student, teacher=teacher)
    return JobWork(training=training, evaluation=evaluation, total=total((training, evaluation)))


def num_evaluations_during_training(spec: JobSpec) -> int:
    """The last step is the final evaluation's."""
    during = spec.evaluation.during_training
    return 0 if during is None else (spec.steps - 1) // during.every_steps


def needs_gate_beforehand(spec: JobSpec, vocab_size: int) -> bool:
    """Whether an update at drifted weights needs a forward pass for its gate.

    So it is where a gate depends on the whole minibatch, or may be wider than a chunk of the head.
    """
    gate = spec.gate
    if gate.granularity is Granularity.NONE:
        return False  # every gate is 1, wherever it is cut
    if isinstance(gate.strength, AdaptiveStrength) or gate.direction is Direction.SHUFFLED:
        return True
    if isinstance(spec.objective, TeacherTopKObjective):
        return False
    return _longest_group(spec) > chunk_tokens(vocab_size)


def _longest_group(spec: JobSpec) -> int:
    """Tokens that share a gate or, per sequence, its normaliser."""
    gate, response = spec.gate, spec.rollout.max_response_tokens
    if gate.normalization is Normalization.SEQUENCE:
        return response
    match gate.granularity:
        case Granularity.TOKEN | Granularity.NONE:
            return 1
        case Granularity.BLOCK:
            return min(gate.block_size, response)
        case Granularity.NEWLINE_SPAN:
            return min(max(gate.max_span, gate.block_size), response)
        case Granularity.SEQUENCE:
            return response


def _num_scoring_passes(spec: JobSpec, vocab_size: int) -> tuple[int, int]:
    """Passes of the student over a step's responses outside its updates: numerator, denominator.

    A step starts at unchanged weights, so its first update needs neither old log-probs nor a gate.
    """
    minibatches = spec.reuse.minibatches
    num_old = minibatches - 1
    num_gates = (
        spec.reuse.epochs * minibatches - 1 if needs_gate_beforehand(spec, vocab_size) else 0
    )
    return num_old + num_gates, minibatches


def _update(spec: JobSpec, batch: Batch, model: Architecture | None) -> Work:
    """Forward and backward over all of a step's responses, once."""
    if model is None:
        return Work(tokens=batch.num_tokens, flops=None)
    passes = FORWARD_AND_BACKWARD if spec.lora is None else FORWARD_AND_BACKWARD_FROZEN
    head = passes * 2 * model.num_head_weights
    if isinstance(spec.objective, TeacherTopKObjective):
        # The support's rows alone are differentiated; the sampled token's log-prob is forward only, and
        # without a gate of some tokens only. Counted whole all the same: the plan is an upper bound.
        head = 2 * model.num_head_weights + passes * 2 * spec.objective.k * model.hidden_size
    recomputed = 1 if spec.compute.gradient_checkpointing else 0
    flops = batch.num_response_tokens * head
    flops += (passes + recomputed) * weight_flops(batch, model)
    flops += (FORWARD_AND_BACKWARD + recomputed) * attention_flops(batch, model)
    adapters = 2 * batch.num_tokens * _num_adapter_parameters(spec, model)
    flops += (FORWARD_AND_BACKWARD + recomputed) * adapters
    return Work(tokens=batch.num_tokens, flops=flops)


def _num_adapter_parameters(spec: JobSpec, student: Architecture | None) -> int:
    if spec.lora is None or student is None:
        return 0
    return adapter_parameters(student, spec.lora)


def _evaluations(
    spec: JobSpec,
    num_benchmark_problems: Sequence[int],
    *,
    student: Architecture | None,
    teacher: Architecture | None,
) -> Work:
    """The student twice on everything and now and then on a subset; the teacher once if asked for."""

    def student_on(num_problems: Sequence[int]) -> Work:
        return evaluation_work(
            spec.evaluation,
            num_problems,
            student,
            max_prompt_tokens=spec.rollout.max_prompt_tokens,
            num_adapter_parameters=_num_adapter_parameters(spec, student),
        )

    works = [times(student_on(num_benchmark_problems), 2)]
    during = spec.evaluation.during_training
    if during is not None:
        subset = student_on([min(each, during.max_problems) for each in num_benchmark_problems])
        works.append(times(subset, num_evaluations_during_training(spec)))
    if spec.evaluation.evaluate_teacher:
        works.append(
            evaluation_work(
                spec.evaluation,
                num_benchmark_problems,
                teacher,
                max_prompt_tokens=spec.rollout.max_prompt_tokens,
            )
        )
    return total(works)
