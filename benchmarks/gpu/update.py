"""An optimiser update as the trainer makes it: forward, gated loss, backward, clipping and AdamW."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from benchmarks.gpu.agreement import relative_error
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.rows import Row, error_row, row
from benchmarks.gpu.shapes import Shape
from benchmarks.gpu.work import PACKED, packs, spec_of
from service.errors import DriftgateError
from service.jobs.spec import ComputeSpec
from worker.rollouts.engine import FinishReason, Response
from worker.training.batching import MicroBatch, Rollout, TokenRules, cut_into_micro_batches
from worker.training.compiling import compile_layers
from worker.training.gate import drift_nats, gate_weights
from worker.training.head import TeacherScores
from worker.training.losses import sampled_token_losses
from worker.training.model_flops import model_shape, update_flops, whole_sequences
from worker.training.models import checkpoint_layers
from worker.training.optimizer import StudentOptimizer
from worker.training.packing import choose_packing
from worker.training.update import ScoredMicroBatch, accumulate_gradient, log_probs_of

LEARNING_RATE, MAX_NORM = 2e-6, 1.0
CHECKED_LAYERS, CHECKED_SEQUENCES, CHECKED_TOKENS = 2, 3, 48
CPU = torch.device("cpu")


@dataclass(slots=True)
class UpdateProblem:
    """A student and one minibatch with targets; an update changes the student a little."""

    student: PreTrainedModel
    optimizer: StudentOptimizer
    minibatch: list[ScoredMicroBatch]

    def update(self) -> None:
        """As the trainer's own."""
        accumulate_gradient(self.student, self.minibatch, spec=spec_of(), shuffle_seed=0)
        self._step()

    def naive_update(self) -> None:
        """Full logits of every pack, and autograd through them."""
        num_tokens = sum(scored.batch.num_tokens for scored in self.minibatch)
        for scored in self.minibatch:
            naive_loss(self.student, scored, num_tokens=num_tokens).backward()
        self._step()

    def _step(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), MAX_NORM)
        self.optimizer.step(LEARNING_RATE)


def update_rows(shape: Shape, machine: Machine, *, with_compiled: bool) -> list[Row]:
    prefix = f"update.{shape.name}"
    rows = [
        error_row(
            f"{prefix}.gradient_error",
            gradient_error(shape, machine),
            dtype_name=machine.dtype_name,
        )
    ]
    problem = _problem(shape, machine, is_packed=True)
    rows += _rows(prefix, problem, problem.update, machine)
    checkpoint_layers(problem.student)
    rows += _rows(f"{prefix}.checkpointed", problem, problem.update, machine)
    del problem
    machine.forget()
    padded = _problem(shape, machine, is_packed=False)
    rows += _rows(f"{prefix}.padded", padded, padded.update, machine)
    rows += _rows(f"{prefix}.naive", padded, padded.naive_update, machine)
    del padded
    machine.forget()
    if with_compiled:
        rows += _compiled_rows(prefix, shape, machine)
    return rows


def _compiled_rows(prefix: str, shape: Shape, machine: Machine) -> list[Row]:
    problem = _problem(shape, machine, is_packed=True)
    try:
        compile_layers(problem.student)
    except DriftgateError as error:
        return [row(f"{prefix}.compiled", error.message[:100], "reason")]
    rows = _rows(f"{prefix}.compiled", problem, problem.update, machine)
    del problem
    machine.forget()
    return rows


def _rows(
    prefix: str, problem: UpdateProblem, run: Callable[[], None], machine: Machine
) -> list[Row]:
    batches = [scored.batch for scored in problem.minibatch]
    lengths = [length for batch in batches for length in batch.sequence_lengths]
    num_loss_tokens = sum(batch.num_tokens for batch in batches)
    flops = update_flops(
        model_shape(problem.student),
        whole_sequences(lengths),
        objective=spec_of().objective,
        num_loss_tokens=num_loss_tokens,
        num_observed_tokens=num_loss_tokens,
    )
    try:
        seconds, peak = machine.median_seconds(run), machine.peak_bytes(run)
    except torch.OutOfMemoryError as error:
        problem.student.zero_grad()
        machine.forget()
        return [row(prefix, f"out of memory: {error}"[:100], "reason")]
    rows = [
        row(f"{prefix}.mfu", flops / seconds / machine.peak_flops_per_second, "1"),
        row(f"{prefix}.rate", sum(lengths) / seconds, "tokens/s"),
        row(f"{prefix}.time", 1000 * seconds, "ms"),
    ]
    return rows if peak is None else [*rows, row(f"{prefix}.peak_memory", peak / 2**20, "MiB")]


def _problem(shape: Shape, machine: Machine, *, is_packed: bool) -> UpdateProblem:
    """Targets near the student's own log-probs, so that nothing is clipped and every product is made."""
    student = shape.model(device=machine.device, dtype=machine.dtype)
    layout = PACKED if is_packed else ComputeSpec(layout="padded")
    choose_packing(layout, [student], device=machine.device)
    generator = torch.Generator(machine.device).manual_seed(1)
    minibatch = []
    for batch in packs(shape, machine, is_packed=is_packed):
        old_N = log_probs_of(student, batch)
        noise_N = torch.randn(len(old_N), generator=generator, device=machine.device)
        teacher = TeacherScores(old_N + 0.5 * noise_N, None, None)
        minibatch.append(ScoredMicroBatch(batch, teacher, old_N + 0.02 * noise_N))
    return UpdateProblem(student, StudentOptimizer(student, spec=spec_of().optimizer), minibatch)


def gradient_error(shape: Shape, machine: Machine) -> float:
    """Of a model of the shape's widths and few layers, packed, against the naive update in float64 on the CPU."""
    student = shape.model(device=machine.device, dtype=machine.dtype, num_layers=CHECKED_LAYERS)
    choose_packing(PACKED, [student], device=machine.device)
    StudentOptimizer(student, spec=spec_of().optimizer)  # gradients are summed as in training
    exact = shape.model(device=CPU, dtype=torch.float32, num_layers=CHECKED_LAYERS)
    exact.load_state_dict({name: each.cpu().float() for name, each in student.state_dict().items()})
    exact = exact.double()
    rollouts = _short_rollouts(shape)
    targets = [_targets(exact, batch) for batch in _cut(rollouts, CPU, is_packed=False)]
    (scored,) = (
        ScoredMicroBatch(
            batch,
            TeacherScores(teacher_N.to(machine.device), None, None),
            old_N.to(machine.device),
        )
        for batch, (teacher_N, old_N) in zip(
            _cut(rollouts, machine.device, is_packed=True), targets, strict=True
        )
    )
    accumulate_gradient(student, [scored], spec=spec_of(), shuffle_seed=0)
    (batch,), ((teacher_N, old_N),) = _cut(rollouts, CPU, is_packed=False), targets
    expected = ScoredMicroBatch(batch, TeacherScores(teacher_N, None, None), old_N)
    naive_loss(exact, expected, num_tokens=batch.num_tokens).backward()
    return relative_error(
        [p.grad for p in student.parameters()], [p.grad for p in exact.parameters()]
    )


def naive_loss(student: PreTrainedModel, scored: ScoredMicroBatch, *, num_tokens: int) -> Tensor:
    """The gated sampled-token loss by full logits of padded rows."""
    batch, old_N = scored.batch, scored.old_log_probs_N
    assert old_N is not None
    logits_NV = student(input_ids=batch.input_ids_BS, use_cache=False).logits.flatten(0, 1)
    logits_NV = logits_NV[batch.positions_N]
    logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    log_probs_N = torch.log_softmax(logits_NV, dim=-1).gather(1, batch.tokens_N[:, None])[:, 0]
    spec = spec_of()
    losses = sampled_token_losses(
        log_probs_N, old_N, scored.teacher.log_probs_N, objective=spec.objective
    )
    gate = gate_weights(drift_nats(log_probs_N, old_N), batch.units, spec=spec.gate)
    return (gate.weights_N * losses.losses_N).sum() / num_tokens


def _targets(model: PreTrainedModel, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """Teacher's and old log-probs a little beside the model's own; float64."""
    log_probs_N = log_probs_of(model, batch)
    noise_N = torch.randn(
        len(log_probs_N), generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    return log_probs_N + 0.5 * noise_N, log_probs_N + 0.02 * noise_N


def _short_rollouts(shape: Shape) -> list[Rollout]:
    generator = torch.Generator().manual_seed(3)
    rollouts = []
    for place in range(CHECKED_SEQUENCES):
        num_tokens = CHECKED_TOKENS - 5 * place
        ids = torch.randint(2, shape.vocabulary_size, (num_tokens,), generator=generator).tolist()
        rollouts.append(Rollout(tuple(ids[:8]), Response(tuple(ids[8:]), FinishReason.LENGTH)))
    return rollouts


def _cut(rollouts: Sequence[Rollout], device: torch.device, *, is_packed: bool) -> list[MicroBatch]:
    return cut_into_micro_batches(
        rollouts,
        gate=spec_of().gate,
        rules=TokenRules(0, frozenset(), frozenset()),
        drift_map_block_size=64,
        max_tokens=10_000,
        device=device,
        is_packed=is_packed,
    )
