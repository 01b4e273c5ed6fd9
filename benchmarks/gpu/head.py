"""The loss head alone, forward and backward: against its bare products, full logits, and Liger's fused loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.gpu.agreement import relative_error
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.rows import Row, error_row, row
from benchmarks.gpu.shapes import Shape
from benchmarks.trainer.head_problem import BLOCK_GATE, HeadOnlyStudent, HeadProblem, head_problem
from service.jobs.loss_spec import SampledTokenObjective, TeacherTopKObjective
from worker.training.batching import MicroBatch
from worker.training.gate import Units, drift_nats, gate_weights
from worker.training.head import TeacherScores
from worker.training.losses import sampled_token_losses

SAMPLED, TOP_K = SampledTokenObjective(), TeacherTopKObjective(k=64)
CHECKED_TOKENS = 128
CPU = torch.device("cpu")


def head_rows(shape: Shape, machine: Machine) -> list[Row]:
    problem = _problem(shape, machine, num_tokens=shape.head_tokens)
    variants: dict[str, Callable[[], object]] = {
        "sampled": lambda: problem.update(SAMPLED, BLOCK_GATE),
        "topk": lambda: problem.update(TOP_K, BLOCK_GATE),
        "products": lambda: bare_products(problem),
        "naive": lambda: naive_sampled(problem),
    }
    prefix = f"head.{shape.name}"
    rows = [
        error_row(
            f"{prefix}.sampled.gradient_error",
            gradient_error(shape, machine),
            dtype_name=machine.dtype_name,
        )
    ]
    liger = liger_loss()
    if isinstance(liger, str):
        rows.append(row(f"{prefix}.liger", liger, "reason"))
    else:
        variants["liger"] = lambda: liger(problem)
    seconds, peaks = {}, {}
    for name, run in variants.items():
        seconds[name] = machine.median_seconds(_from_no_gradient(problem, run))
        peaks[name] = machine.peak_bytes(
            run
        )  # with the gradients there, as in every micro-batch but the first
        problem.student.zero_grad()
        machine.forget()
    flops = 3 * 2 * problem.num_tokens * shape.hidden_size * shape.vocabulary_size
    rows += [
        row(
            f"{prefix}.sampled.time_vs_products", seconds["sampled"] / seconds["products"], "ratio"
        ),
        row(f"{prefix}.sampled.time_vs_naive", seconds["sampled"] / seconds["naive"], "ratio"),
        row(f"{prefix}.topk.time_vs_products", seconds["topk"] / seconds["products"], "ratio"),
        row(
            f"{prefix}.products.mfu",
            flops / seconds["products"] / machine.peak_flops_per_second,
            "1",
        ),
    ]
    if "liger" in seconds:
        rows.append(
            row(f"{prefix}.sampled.time_vs_liger", seconds["sampled"] / seconds["liger"], "ratio")
        )
    rows += [row(f"{prefix}.{name}.time", 1000 * each, "ms") for name, each in seconds.items()]
    rows += [
        row(f"{prefix}.{name}.peak_memory", each / 2**20, "MiB")
        for name, each in peaks.items()
        if each is not None
    ]
    return rows


def _problem(shape: Shape, machine: Machine, *, num_tokens: int) -> HeadProblem:
    return head_problem(
        num_tokens,
        shape.hidden_size,
        vocabulary_size=shape.vocabulary_size,
        device=machine.device,
        dtype=machine.dtype,
    )


def _from_no_gradient(problem: HeadProblem, run: Callable[[], object]) -> Callable[[], object]:
    def again() -> None:
        problem.student.zero_grad()
        run()

    return again


def naive_sampled(problem: HeadProblem) -> None:
    """The gated sampled-token loss over full logits, by autograd."""
    logits_NV = problem.student.hidden_1NH[0] @ problem.student.head_VH.T
    logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    log_probs_N = torch.log_softmax(logits_NV, dim=-1).gather(1, problem.batch.tokens_N[:, None])
    _gated_loss(log_probs_N[:, 0], problem).backward()


def bare_products(problem: HeadProblem) -> None:
    """The three products of forward and backward, whole, and nothing else."""
    hidden_NH, head_VH = problem.student.hidden_1NH.detach()[0], problem.student.head_VH.detach()
    logits_NV = hidden_NH @ head_VH.T
    _ = logits_NV @ head_VH
    _ = logits_NV.T @ hidden_NH


def liger_loss() -> Callable[[HeadProblem], None] | str:
    """Liger's fused linear cross-entropy of the sampled tokens, forward and backward; or why there is none.

    A simpler loss than ours (no ratio, no gate) with the same three products in chunks.
    """
    if not torch.cuda.is_available():
        return "Liger's kernels need a GPU"
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss  # noqa: PLC0415
    except ImportError as error:
        return f"not importable: {error}"[:100]
    loss_of = LigerFusedLinearCrossEntropyLoss()

    def run(problem: HeadProblem) -> None:
        student = problem.student
        loss_of(student.head_VH, student.hidden_1NH[0], problem.batch.tokens_N).backward()

    return run


def gradient_error(shape: Shape, machine: Machine) -> float:
    """Of the product's update on a few tokens, against the naive one in float64 on the CPU."""
    problem = _problem(shape, machine, num_tokens=CHECKED_TOKENS)
    problem.update(SAMPLED, BLOCK_GATE)
    actual = [parameter.grad for parameter in problem.student.parameters()]
    exact = _in_float64(problem)
    naive_sampled(exact)
    return relative_error(actual, [parameter.grad for parameter in exact.student.parameters()])


def _in_float64(problem: HeadProblem) -> HeadProblem:
    """The same weights and targets, widened."""
    student = HeadOnlyStudent(
        problem.student.hidden_1NH.detach()[0].to(CPU, torch.float64),
        problem.student.head_VH.detach().to(CPU, torch.float64),
    )
    teacher = problem.teacher
    return HeadProblem(
        student=student,
        teacher_hidden_NH=problem.teacher_hidden_NH.cpu(),
        teacher_head_VH=problem.teacher_head_VH.cpu(),
        batch=_batch_on_cpu(problem),
        old_log_probs_N=problem.old_log_probs_N.cpu().double(),
        teacher=TeacherScores(teacher.log_probs_N.cpu().double(), None, None),
    )


def _batch_on_cpu(problem: HeadProblem) -> MicroBatch:
    batch = problem.batch
    return MicroBatch(
        input_ids_BS=batch.input_ids_BS.cpu(),
        positions_N=batch.positions_N.cpu(),
        tokens_N=batch.tokens_N.cpu(),
        units=Units(batch.units.unit_ids_N.cpu(), batch.units.sequence_of_unit_U.cpu()),
        block_ids_N=batch.block_ids_N.cpu(),
        sequence_lengths=batch.sequence_lengths,
    )


def _gated_loss(log_probs_N: Tensor, problem: HeadProblem) -> Tensor:
    losses = sampled_token_losses(
        log_probs_N, problem.old_log_probs_N, problem.teacher.log_probs_N, objective=SAMPLED
    )
    drift_N = drift_nats(log_probs_N, problem.old_log_probs_N)
    weights_N = gate_weights(drift_N, problem.batch.units, spec=BLOCK_GATE).weights_N
    return (weights_N * losses.losses_N).sum() / problem.num_tokens
