"""Scoring by a teacher of the shape: log-probs of the sampled tokens, and with the top-K support."""

import torch

from benchmarks.gpu.agreement import relative_error
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.rows import Row, error_row, row
from benchmarks.gpu.shapes import Shape
from benchmarks.gpu.work import PACKED, packs
from service.jobs.loss_spec import Objective, SampledTokenObjective, TeacherTopKObjective
from worker.training.batching import MicroBatch
from worker.training.gate import Units
from worker.training.model_flops import forward_flops, model_shape, whole_sequences
from worker.training.packing import choose_packing
from worker.training.teacher import LocalTeacher

OBJECTIVES: dict[str, Objective] = {
    "sampled": SampledTokenObjective(),
    "topk": TeacherTopKObjective(),
}
CHECKED_LAYERS, CHECKED_POSITIONS = 2, 96


def scoring_rows(shape: Shape, machine: Machine) -> list[Row]:
    prefix = f"scoring.{shape.name}"
    rows = [
        error_row(
            f"{prefix}.log_prob_error",
            log_prob_error(shape, machine),
            dtype_name=machine.dtype_name,
        )
    ]
    model = shape.model(device=machine.device, dtype=machine.dtype)
    choose_packing(PACKED, [model], device=machine.device)
    batches = packs(shape, machine)
    lengths = [length for batch in batches for length in batch.sequence_lengths]
    flops = forward_flops(
        model_shape(model),
        whole_sequences(lengths),
        num_head_tokens=sum(batch.num_tokens for batch in batches),
    )
    for name, objective in OBJECTIVES.items():
        teacher = LocalTeacher(model, objective=objective)
        seconds = machine.median_seconds(lambda teacher=teacher: teacher.score(batches))
        rows += [
            row(f"{prefix}.{name}.mfu", flops / seconds / machine.peak_flops_per_second, "1"),
            row(f"{prefix}.{name}.rate", sum(lengths) / seconds, "tokens/s"),
        ]
        peak = machine.peak_bytes(lambda teacher=teacher: teacher.score(batches))
        if peak is not None:
            rows.append(row(f"{prefix}.{name}.peak_memory", peak / 2**20, "MiB"))
    machine.forget()
    return rows


@torch.no_grad()
def log_prob_error(shape: Shape, machine: Machine) -> float:
    """Of a model of the shape's widths and few layers, against float64 on the CPU."""
    cpu = torch.device("cpu")
    model = shape.model(device=machine.device, dtype=machine.dtype, num_layers=CHECKED_LAYERS)
    exact = shape.model(device=cpu, dtype=torch.float32, num_layers=CHECKED_LAYERS)
    exact.load_state_dict({name: each.cpu().float() for name, each in model.state_dict().items()})
    exact = exact.double()
    input_ids_BS = torch.arange(2, 2 + CHECKED_POSITIONS)[None] % shape.vocabulary_size
    scores = LocalTeacher(model, objective=SampledTokenObjective()).score(
        [_batch(input_ids_BS.to(machine.device))]
    )[0]
    logits_SV = exact(input_ids_BS, use_cache=False).logits[0, :-1]
    expected_N = torch.log_softmax(logits_SV, dim=-1).gather(1, input_ids_BS[0, 1:, None])[:, 0]
    return relative_error([scores.log_probs_N], [expected_N])


def _batch(input_ids_1S: torch.Tensor) -> MicroBatch:
    """Every token but the first is predicted."""
    num_tokens = input_ids_1S.shape[1] - 1
    positions_N = torch.arange(num_tokens, device=input_ids_1S.device)
    return MicroBatch(
        input_ids_BS=input_ids_1S,
        positions_N=positions_N,
        tokens_N=input_ids_1S[0, 1:],
        units=Units(positions_N, torch.zeros_like(positions_N)),
        block_ids_N=positions_N,
        sequence_lengths=(num_tokens + 1,),
    )
