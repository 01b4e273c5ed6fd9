"""Whether a device has room for what training surely needs, asked before anything is trained."""

import torch
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from worker.training.distributed_sharding import num_elements_here

FLOAT32_BYTES = 4
GIBIBYTE = 2**30


def refuse_too_little_memory(student: PreTrainedModel, *, device: torch.device) -> None:
    """Raises OUT_OF_MEMORY with the numbers where a GPU cannot hold gradients and optimiser beside the models.

    Activations and caches come on top: what passes here may still run out, and then says so.
    """
    if device.type == "cuda":
        free_bytes, total_bytes = torch.cuda.mem_get_info(device)
        # What torch keeps for its next allocations is free too.
        kept_bytes = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        refuse_more_than(free_bytes + kept_bytes, student, total_bytes=total_bytes)


def refuse_more_than(free_bytes: int, student: PreTrainedModel, *, total_bytes: int) -> None:
    """Of memory that is free once the models are loaded."""
    needed_bytes = training_bytes(student)
    if needed_bytes > free_bytes:
        raise DriftgateError(
            ErrorCode.OUT_OF_MEMORY,
            f"Gradients and optimiser of {_num_trained(student):,} trained parameters take "
            f"{needed_bytes / GIBIBYTE:.2f} GiB, but beside the models {free_bytes / GIBIBYTE:.2f} GiB of the GPU's "
            f"{total_bytes / GIBIBYTE:.2f} are free. Use a GPU with more memory, several (resources.gpus), a smaller "
            "student, lora, or compute.offload 'teacher'.",
        )


def training_bytes(student: PreTrainedModel) -> int:
    """Gradients in float32, AdamW's two moments, and a float32 master of each weight that is narrower.

    Of a sharded student the share of this rank.
    """
    total = 0
    for parameter in student.parameters():
        if parameter.requires_grad:
            num_copies = 3 + (parameter.element_size() < FLOAT32_BYTES)
            total += num_copies * FLOAT32_BYTES * num_elements_here(parameter)
    return total


def _num_trained(student: PreTrainedModel) -> int:
    return sum(each.numel() for each in student.parameters() if each.requires_grad)
