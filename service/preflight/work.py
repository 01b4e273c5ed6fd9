"""Tokens and FLOPs of a job by phase, every prompt and response at its limit.

A matrix product costs 2 FLOPs a weight and token; its backward pass twice that. Causal attention over a
context of c positions costs 4·c FLOPs a token, layer and query element.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs.plans import JobWork, StepWork, Work
from service.jobs.spec import (
    AdaptiveStrength,
    Direction,
    Granularity,
    JobSpec,
    Normalization,
    TeacherTopKObjective,
)
from service.preflight.adapter import adapter_parameters
from service.preflight.architecture import Architecture
from service.preflight.tensor_sizes import chunk_tokens

# In forward passes; the weights of frozen layers have no gradient.
FORWARD_AND_BACKWARD, FORWARD_AND_BACKWARD_FROZEN = 3, 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of equal length; a prompt is computed once for every `num_prompts`."""

    num_prompts: int
    num_responses: int
    prompt_tokens: int
    response_tokens: int

    @property
    def num_response_tokens(self) -> int:
        return self.num_responses * self.response_tokens

    @property
    def num_tokens(self) -> int:
        return self.num_prompts * self.prompt_tokens + self.num_response_tokens

    @property
    def num_contexts(self) -> int:
        """Σ over the tokens of the positions that each attends to."""
        prompt, whole = self.prompt_tokens, self.prompt_tokens + self.response_tokens
        of_prompt = prompt * (prompt + 1) // 2
        of_response = whole * (whole + 1) // 2 - of_prompt
        return self.num_prompts * of_prompt + self.num_responses * of_response


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
    scoring = _forward(scored, student, num_adapter_parameters=adapters)
    phases = {
        "rollout": _forward(generated, student, num_adapter_parameters=adapters),
        "teacher_scoring": _forward(scored, teacher),
        "student_scoring": _share(scoring, *_num_scoring_passes(spec, vocab_size)),
        "updates": _times(_update(spec, scored, student), spec.reuse.epochs),
    }
    return StepWork(**phases, total=_total(tuple(phases.values())))


def job_work(
    spec: JobSpec,
    step: StepWork,
    *,
    student: Architecture | None,
    teacher: Architecture | None,
    num_benchmark_problems: Sequence[int],
) -> JobWork:
    """All steps, and every benchmark before and after them."""
    training = _times(step.total, spec.steps)
    evaluations = [
        work
        for num_problems in num_benchmark_problems
        for work in _evaluations(spec, num_problems, student=student, teacher=teacher)
    ]
    evaluation = _total(evaluations)
    return JobWork(training=training, evaluation=evaluation, total=_total((training, evaluation)))


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


def _forward(batch: Batch, model: Architecture | None, *, num_adapter_parameters: int = 0) -> Work:
    if model is None:
        return Work(tokens=batch.num_tokens, flops=None)
    head = 2 * batch.num_response_tokens * model.num_head_weights
    adapters = 2 * batch.num_tokens * num_adapter_parameters
    flops = _weight_flops(batch, model) + _attention_flops(batch, model) + head + adapters
    return Work(tokens=batch.num_tokens, flops=flops)


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
    flops += (passes + recomputed) * _weight_flops(batch, model)
    flops += (FORWARD_AND_BACKWARD + recomputed) * _attention_flops(batch, model)
    adapters = 2 * batch.num_tokens * _num_adapter_parameters(spec, model)
    flops += (FORWARD_AND_BACKWARD + recomputed) * adapters
    return Work(tokens=batch.num_tokens, flops=flops)


def _num_adapter_parameters(spec: JobSpec, student: Architecture | None) -> int:
    if spec.lora is None or student is None:
        return 0
    return adapter_parameters(student, spec.lora)


def _weight_flops(batch: Batch, model: Architecture) -> int:
    """Of the body, forward; the embedding is looked up, not multiplied."""
    return 2 * model.parameter_counts().body * batch.num_tokens


def _attention_flops(batch: Batch, model: Architecture) -> int:
    return 4 * batch.num_contexts * model.num_layers * model.query_size


def _evaluations(
    spec: JobSpec,
    num_problems: int,
    *,
    student: Architecture | None,
    teacher: Architecture | None,
) -> list[Work]:
    batch = Batch(
        num_prompts=num_problems,
        num_responses=num_problems * spec.evaluation.samples_per_problem,
        prompt_tokens=spec.rollout.max_prompt_tokens,
        response_tokens=spec.evaluation.max_response_tokens,
    )
    adapters = _num_adapter_parameters(spec, student)
    works = [_times(_forward(batch, student, num_adapter_parameters=adapters), 2)]
    if spec.evaluation.evaluate_teacher:
        works.append(_forward(batch, teacher))
    return works


def _total(works: Sequence[Work]) -> Work:
    flops = [work.flops for work in works]
    known = [one for one in flops if one is not None]
    return Work(
        tokens=sum(work.tokens for work in works),
        flops=sum(known) if len(known) == len(flops) else None,
    )


def _times(work: Work, factor: int) -> Work:
    return _share(work, factor, 1)


def _share(work: Work, numerator: int, denominator: int) -> Work:
    flops = None if work.flops is None else work.flops * numerator // denominator
    return Work(tokens=work.tokens * numerator // denominator, flops=flops)
