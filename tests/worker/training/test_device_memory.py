"""A GPU that is too small is refused with the numbers, before anything is trained."""

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import LoraSpec, OptimizerSpec
from tests.worker.training.tiny_models import tiny_qwen3
from worker.training.adapter import add_adapter
from worker.training.device_memory import refuse_more_than, training_bytes
from worker.training.optimizer import StudentOptimizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_training_needs_is_what_the_optimiser_then_holds(dtype: torch.dtype) -> None:
    student = tiny_qwen3(1, dtype=dtype)
    needed = training_bytes(student)
    optimizer = StudentOptimizer(student, spec=OptimizerSpec())
    student(torch.tensor([[3, 4]])).logits.sum().backward()
    gradients = sum(each.grad.nbytes for each in student.parameters())
    optimizer.step(1e-3)
    states = sum(
        tensor.nbytes for key, tensor in optimizer.tensors().items() if not key.endswith("/step")
    )
    assert needed == gradients + states


def test_a_gpu_without_the_room_is_refused_with_the_numbers() -> None:
    student = tiny_qwen3(1, dtype=torch.bfloat16)
    needed = training_bytes(student)
    refuse_more_than(needed, student, total_bytes=2**34)
    with pytest.raises(DriftgateError, match=r"0\.00 GiB of the GPU's 16\.00 are free") as raised:
        refuse_more_than(needed - 1, student, total_bytes=2**34)
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY


def test_adapters_need_room_for_themselves_alone() -> None:
    student = tiny_qwen3(1, dtype=torch.bfloat16)
    add_adapter(student, spec=LoraSpec(rank=2, target_modules=("q_proj",)), seed=0)
    # 2 layers, rank 2, 16 inputs and 16 outputs, in float32: gradient and two moments.
    assert training_bytes(student) == 2 * 2 * (16 + 16) * 3 * 4
