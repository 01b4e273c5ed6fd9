"""How near the gradients of a reused batch stay to a fresh one, measured at a few steps of a job.

Before a measured step, the student trains on its batch by the job's own loss as far as the deepest depth asked for. Depth d
is d updates made from the batch: the gradient there is the one that update d + 1 would apply. That of each weighting on the
whole batch is set against a reference, the gradient of the full-vocabulary reverse KL on fresh responses of the drifted
student to the same prompts. Then weights and optimiser are put back, and the step begins as if nothing had been.

The reference is noisy as well: the cosine between the gradients of its two halves says how much.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.jobs.records import GradientFidelityRecord, WeightingFidelity
from service.jobs.seeds import derive_seed
from service.jobs.spec import JobSpec
from worker.attempt_end import StopRequestedError
from worker.rollouts.engine import RolloutEngine, RolloutRequest
from worker.rollouts.prompts import Prompt
from worker.training.batching import MicroBatch, Rollout
from worker.training.collection import sampled_rollouts, training_sampling
from worker.training.full_vocabulary import accumulate_reverse_kl_gradient
from worker.training.gradients import Gradient, alignment, mean_gradient, take_gradient
from worker.training.optimizer import StudentOptimizer, learning_rate_at
from worker.training.scoring import Minibatch
from worker.training.step_batch import StepBatch
from worker.training.update import ScoredMicroBatch, accumulate_gradient, log_probs_of
from worker.training.weightings import weightings

# The reference's loss on the reused batch: what is left where only the prefixes are stale.
STALE_REFERENCE = "full_vocabulary"

# From rollouts to the micro-batches of each minibatch: cut alike whatever the spec's gate, whose units they have.
Arrange = Callable[[Sequence[Rollout], JobSpec], list[list[MicroBatch]]]

Part = TypeVar("Part")


def measured_steps(spec: JobSpec) -> frozenset[int]:
    """By the number of steps before them: the middles of as many equal parts of the job."""
    wanted = spec.diagnostics.gradient_fidelity
    num_batches = 0 if wanted is None else wanted.num_batches
    return frozenset(
        (2 * part + 1) * spec.steps // (2 * num_batches) for part in range(num_batches)
    )


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A step that has not begun, and what the job trains it with.

    prompts: those of the step. num_updates: optimiser updates before it.
    """

    spec: JobSpec
    step: int
    num_updates: int
    batch: StepBatch
    prompts: Sequence[Prompt]
    student: PreTrainedModel
    teacher: PreTrainedModel
    optimizer: StudentOptimizer
    engine: RolloutEngine
    arrange: Arrange


def measure_gradient_fidelity(
    measured: MeasuredStep, *, should_stop: Callable[[], bool]
) -> list[GradientFidelityRecord]:
    """One record for each depth that the student reaches with finite losses, where there is a token to compare on.

    Leaves student, optimiser, engine and batch as they were, bit for bit, and no random stream further on.
    Raises StopRequestedError after `should_stop`, between two gradients.
    """
    wanted = measured.spec.diagnostics.gradient_fidelity
    assert wanted is not None
    if not any(scored.batch.num_tokens for part in measured.batch.minibatches for scored in part):
        return []
    records: list[GradientFidelityRecord] = []
    with _put_back(measured):
        minibatches = _with_old_log_probs(measured)
        num_made = 0
        for depth in wanted.depths:
            while num_made < depth:
                _stop_if_asked(should_stop)
                if not _train_once(measured, minibatches, num_made=num_made):
                    return records
                num_made += 1
            record = _compare(measured, minibatches, depth=depth, should_stop=should_stop)
            if record is not None:
                records.append(record)
    return records


@contextmanager
def _put_back(measured: MeasuredStep) -> Iterator[None]:
    """Weights and optimiser wait in the host's memory meanwhile."""
    trained = [each for each in measured.student.parameters() if each.requires_grad]
    weights = [_host_copy(each) for each in trained]
    state = {name: _host_copy(tensor) for name, tensor in measured.optimizer.tensors().items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, kept in zip(trained, weights, strict=True):
                parameter.grad = None
                parameter.copy_(kept)
        measured.optimizer.load(state)
        measured.engine.weights_changed()


def _host_copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _with_old_log_probs(measured: MeasuredStep) -> list[Minibatch]:
    """The batch's own are left as they are: the first update of the step fills them in."""

    def copied(scored: ScoredMicroBatch) -> ScoredMicroBatch:
        old_N = scored.old_log_probs_N
        return replace(
            scored,
            old_log_probs_N=log_probs_of(measured.student, scored.batch)
            if old_N is None
            else old_N,
        )

    return [[copied(scored) for scored in part] for part in measured.batch.minibatches]


def _train_once(measured: MeasuredStep, minibatches: Sequence[Minibatch], *, num_made: int) -> bool:
    """As the job's update of that number, and beyond its last as its last; False where a loss is not finite."""
    spec, student = measured.spec, measured.student
    minibatch = minibatches[num_made % len(minibatches)]
    if not any(scored.batch.num_tokens for scored in minibatch):
        return True
    update = measured.num_updates + num_made + 1
    loss = accumulate_gradient(
        student, minibatch, spec=spec, shuffle_seed=_shuffle_seed(spec, update)
    ).loss
    size = torch.nn.utils.clip_grad_norm_(
        student.parameters(), spec.optimizer.gradient_clip_norm
    ).item()
    if not (math.isfinite(loss) and math.isfinite(size)):
        return False
    measured.optimizer.step(
        learning_rate_at(min(update, spec.num_updates), spec.num_updates, spec.optimizer)
    )
    measured.engine.weights_changed()
    return True


def _compare(
    measured: MeasuredStep,
    minibatches: Sequence[Minibatch],
    *,
    depth: int,
    should_stop: Callable[[], bool],
) -> GradientFidelityRecord | None:
    """At the weights as they are; None where no fresh response has a valid token."""
    _stop_if_asked(should_stop)
    fresh = _fresh_rollouts(measured, depth=depth)
    halves = []
    for half in (fresh[0::2], fresh[1::2]):
        batches = _in_one_line(measured.arrange(half, measured.spec))
        num_tokens = sum(batch.num_tokens for batch in batches)
        _stop_if_asked(should_stop)
        halves.append((num_tokens, *_reference(measured, batches, num_tokens=num_tokens)))
    (num_left, left, left_kl), (num_right, right, right_kl) = halves
    if not num_left + num_right:
        return None
    half_cosine = alignment(left, right).cosine
    reverse_kl = (num_left * left_kl + num_right * right_kl) / (num_left + num_right)
    reference = mean_gradient(left, right, num_left=num_left, num_right=num_right)
    stale = _in_one_line(minibatches)
    found = []
    for name, gradient in _stale_gradients(measured, stale, depth=depth):
        aligned = alignment(gradient, reference)
        found.append(WeightingFidelity(name, aligned.cosine, aligned.norm_ratio))
        _stop_if_asked(should_stop)
    return GradientFidelityRecord(
        step=measured.step + 1,
        update=measured.num_updates + 1,
        depth=depth,
        num_tokens=sum(scored.batch.num_tokens for scored in stale),
        num_fresh_tokens=num_left + num_right,
        reverse_kl_nats=reverse_kl if math.isfinite(reverse_kl) else None,
        half_cosine=half_cosine,
        weightings=tuple(found),
    )


def _fresh_rollouts(measured: MeasuredStep, *, depth: int) -> list[Rollout]:
    """In order of prompt and sample, so that every second one is half of each prompt's where their number is even."""
    spec, wanted = measured.spec, measured.spec.diagnostics.gradient_fidelity
    assert wanted is not None
    num_samples = wanted.fresh_samples_per_prompt or spec.rollout.samples_per_prompt
    requests = [
        RolloutRequest(
            prompt_token_ids=prompt.token_ids,
            seeds=tuple(
                derive_seed("gradient-fidelity", spec.seed, measured.step, depth, place, sample)
                for sample in range(num_samples)
            ),
        )
        for place, prompt in enumerate(measured.prompts)
    ]
    rollouts = sampled_rollouts(requests, sampling=training_sampling(spec), engine=measured.engine)
    measured.engine.rest()
    return rollouts


def _reference(
    measured: MeasuredStep, batches: Sequence[MicroBatch], *, num_tokens: int
) -> tuple[dict[str, Tensor], float]:
    """Gradient and value of the full-vocabulary reverse KL, mean over the tokens."""
    value = accumulate_reverse_kl_gradient(
        measured.student, measured.teacher, batches, num_tokens=num_tokens
    )
    return take_gradient(measured.student), value


def _stale_gradients(
    measured: MeasuredStep, stale: Sequence[ScoredMicroBatch], *, depth: int
) -> Iterator[tuple[str, Gradient]]:
    """Of every weighting on the whole batch, whatever the job's minibatches."""
    shuffle_seed = _shuffle_seed(measured.spec, measured.num_updates + depth + 1)
    for name, spec in weightings(measured.spec).items():
        with_units = _in_one_line(measured.arrange(measured.batch.rollouts, spec))
        accumulate_gradient(
            measured.student,
            [replace(scored, batch=batch) for scored, batch in zip(stale, with_units, strict=True)],
            spec=spec,
            shuffle_seed=shuffle_seed,
        )
        yield name, take_gradient(measured.student)
    batches = [scored.batch for scored in stale]
    num_tokens = sum(batch.num_tokens for batch in batches)
    yield STALE_REFERENCE, _reference(measured, batches, num_tokens=num_tokens)[0]


def _in_one_line(parts: Sequence[Sequence[Part]]) -> list[Part]:
    return [each for part in parts for each in part]


def _shuffle_seed(spec: JobSpec, update: int) -> int:
    return derive_seed("gate-shuffle", spec.seed, update)


def _stop_if_asked(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise StopRequestedError
