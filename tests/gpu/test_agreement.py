"""What the GPU computes, against float64 on the CPU: head, update, scoring, packing, products, AdamW."""

import pytest
import torch

from benchmarks.gpu import head, scoring, update
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.rows import MAX_ERRORS
from benchmarks.gpu.shapes import SHAPES
from service.jobs.spec import ComputeSpec, OptimizerSpec
from tests.gpu.device import DTYPES, GPU, needs_gpu
from tests.worker.training.test_packing import cut
from tests.worker.training.tiny_models import random_rollouts, tiny_qwen3
from worker.training.batching import MicroBatch
from worker.training.offload import present, send_away
from worker.training.optimizer import StudentOptimizer
from worker.training.packing import choose_packing
from worker.training.products import add_product_in_float32, product_in_float32
from worker.training.update import log_probs_of

pytestmark = needs_gpu
TINY = SHAPES["tiny"]


def machine_of(dtype: torch.dtype) -> Machine:
    return Machine(GPU, dtype, repeats=1, peak_flops_per_second=1.0)


@pytest.fixture(autouse=True)
def products_in_full() -> None:
    """TF32 would round the factors of float32 products; it is off unless somebody switches it on."""
    assert torch.get_float32_matmul_precision() == "highest"


@DTYPES
def test_the_head_s_gradient_is_that_of_float64(dtype: torch.dtype) -> None:
    machine = machine_of(dtype)
    assert 0 < head.gradient_error(TINY, machine) < MAX_ERRORS[machine.dtype_name]


@DTYPES
def test_the_gradient_of_a_packed_update_is_that_of_a_padded_one_in_float64(
    dtype: torch.dtype,
) -> None:
    machine = machine_of(dtype)
    assert 0 < update.gradient_error(TINY, machine) < MAX_ERRORS[machine.dtype_name]


@DTYPES
def test_a_teacher_s_log_probs_are_those_of_float64(dtype: torch.dtype) -> None:
    machine = machine_of(dtype)
    assert 0 < scoring.log_prob_error(TINY, machine) < MAX_ERRORS[machine.dtype_name]


def test_a_packed_pass_is_that_of_padded_rows() -> None:
    padded, packed = (
        [on_gpu(batch) for batch in cut(random_rollouts(4), is_packed=each)]
        for each in (False, True)
    )
    model = tiny_qwen3(1).to(GPU)
    expected_N = torch.cat([log_probs_of(model, batch) for batch in padded])
    assert choose_packing(ComputeSpec(), [model], device=GPU)  # `auto` packs here
    actual_N = torch.cat([log_probs_of(model, batch) for batch in packed])
    torch.testing.assert_close(actual_N, expected_N, rtol=1e-9, atol=1e-12)


def on_gpu(batch: MicroBatch) -> MicroBatch:
    return MicroBatch(
        input_ids_BS=batch.input_ids_BS.to(GPU),
        positions_N=batch.positions_N.to(GPU),
        tokens_N=batch.tokens_N.to(GPU),
        units=batch.units,
        block_ids_N=batch.block_ids_N,
        sequence_lengths=batch.sequence_lengths,
        is_packed=batch.is_packed,
    )


def test_products_of_bfloat16_keep_float32() -> None:
    # 16 products of 1 and 2^-7 are 0.125, and on 256 there are 256.125: no bfloat16 number.
    ones = torch.ones(16, 16, device=GPU, dtype=torch.bfloat16)
    assert (product_in_float32(ones, ones / 128) == 0.125).all()
    total = torch.full((16, 16), 256.0, device=GPU)
    add_product_in_float32(total, ones.T, ones / 128)
    assert (total == 256.125).all()


@pytest.mark.parametrize("is_offloaded", [False, True])
@DTYPES
def test_adamw_steps_as_on_the_cpu_and_goes_on_from_its_state(
    dtype: torch.dtype, is_offloaded: bool
) -> None:
    def layer_on(device: torch.device) -> torch.nn.Linear:
        torch.manual_seed(0)
        return torch.nn.Linear(5, 3).to(dtype).to(device)

    def step(optimizer: StudentOptimizer, layer: torch.nn.Linear) -> None:
        layer(torch.ones(2, 5, dtype=dtype, device=layer.weight.device)).sum().backward()
        optimizer.step(1e-2)

    on_cpu, first, second = (layer_on(torch.device(name)) for name in ("cpu", "cuda", "cuda"))
    expected = StudentOptimizer(on_cpu, spec=OptimizerSpec())
    before, after = (
        StudentOptimizer(layer, spec=OptimizerSpec(), is_offloaded=is_offloaded)
        for layer in (first, second)
    )
    for _ in range(4):
        step(expected, on_cpu)
    for _ in range(2):
        step(before, first)
    second.load_state_dict(first.state_dict())
    after.load({key: tensor.clone() for key, tensor in before.tensors().items()})
    for _ in range(2):
        step(after, second)
    torch.testing.assert_close(second.weight.cpu(), on_cpu.weight)
    assert after.tensors()["weight/step"].item() == 4


def test_a_teacher_that_was_sent_away_leaves_its_memory() -> None:
    model = torch.nn.Linear(2048, 2048, bias=False).to(GPU)
    expected = model.weight.detach().cpu()
    before = torch.cuda.memory_allocated(GPU)
    send_away(model, device=GPU)
    assert before - torch.cuda.memory_allocated(GPU) >= 2048 * 2048 * 4
    with present(model):
        assert model.weight.device.type == "cuda"
        assert torch.equal(model.weight.detach().cpu(), expected)
    assert model.weight.device.type == "cpu"
