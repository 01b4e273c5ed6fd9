"""Tokens and FLOPs of a job by phase, every prompt and response at its limit.

A backward pass costs twice its forward pass.
"""

from collections.abc import Sequence

from service.jobs.loss_spec import (
    AdaptiveStrength,
    Direction,
    Granularity,
    Normalization,
    Objective,
    SampledTokenObjective,
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
    """All steps with what is measured of their gradients, and the benchmarks before, during and after them."""
    training = total((times(step.total, spec.steps), _gradient_fidelity(spec, student, teacher)))
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


def num_weightings(objective: Objective) -> int:
    """Ways to weigh a batch that a measurement of gradients compares: the job's, and by advantage, clip and gate."""
    num_gates = 4
    return 1 + (num_gates if isinstance(objective, TeacherTopKObjective) else 4 * num_gates)


def _gradient_fidelity(
    spec: JobSpec, student: Architecture | None, teacher: Architecture | None
) -> Work:
    """At each measured step the updates to the deepest depth; at each depth the reference, on fresh responses and on the
    batch, and every weighting. Any update may need a forward pass for its gate.
    """
    wanted = spec.diagnostics.gradient_fidelity
    if wanted is None:
        return Work(tokens=0, flops=0)
    num_prompts = spec.rollout.prompts_per_step
    num_stale = num_prompts * spec.rollout.samples_per_prompt
    num_fresh = num_prompts * (wanted.fresh_samples_per_prompt or spec.rollout.samples_per_prompt)
    tokens = {
        "prompt_tokens": spec.rollout.max_prompt_tokens,
        "response_tokens": spec.rollout.max_response_tokens,
    }
    stale = Batch(num_prompts=num_stale, num_responses=num_stale, **tokens)
    fresh = Batch(num_prompts=num_fresh, num_responses=num_fresh, **tokens)
    adapters = _num_adapter_parameters(spec, student)
    scored = forward(stale, student, num_adapter_parameters=adapters)
    update = total((scored, _update(spec, stale, student)))
    sampled = forward(
        Batch(num_prompts=num_prompts, num_responses=num_fresh, **tokens),
        student,
        num_adapter_parameters=adapters,
    )
    of_depth = (
        sampled,
        times(update, num_weightings(spec.objective)),
        *(_reference(spec, batch, student, teacher) for batch in (fresh, stale)),
    )
    deepest = share(update, wanted.depths[-1], spec.reuse.minibatches)
    of_step = (scored, deepest, *(times(each, len(wanted.depths)) for each in of_depth))
    return times(total(of_step), min(wanted.num_batches, spec.steps))


def _reference(
    spec: JobSpec, batch: Batch, student: Architecture | None, teacher: Architecture | None
) -> Work:
    """The whole head is differentiated, as for sampled tokens."""
    of_all = spec.model_copy(update={"objective": SampledTokenObjective()})
    return total((_update(of_all, batch, student), forward(batch, teacher)))


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
    """The student twice on everything and now and then on a subset, its distance to the teacher twice; the teacher
    once if asked for.
    """

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
    works.append(
        times(_reverse_kl(spec, num_benchmark_problems, student=student, teacher=teacher), 2)
    )
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


def num_reverse_kl_responses(spec: JobSpec, num_benchmark_problems: Sequence[int]) -> list[int]:
    """Of each benchmark, in one measurement of the distance to the teacher."""
    return [min(each, spec.evaluation.reverse_kl_problems) for each in num_benchmark_problems]


def _reverse_kl(
    spec: JobSpec,
    num_benchmark_problems: Sequence[int],
    *,
    student: Architecture | None,
    teacher: Architecture | None,
) -> Work:
    """One fresh response a problem, sampled by the student and passed once through either model."""
    num_responses = sum(num_reverse_kl_responses(spec, num_benchmark_problems))
    batch = Batch(
        num_prompts=num_responses,
        num_responses=num_responses,
        prompt_tokens=spec.rollout.max_prompt_tokens,
        response_tokens=spec.rollout.max_response_tokens,
    )
    adapters = _num_adapter_parameters(spec, student)
    by_student = forward(batch, student, num_adapter_parameters=adapters)
    return total([times(by_student, 2), _teacher_scoring(spec, batch, teacher)])
