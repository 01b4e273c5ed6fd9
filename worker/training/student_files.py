"""The student in a checkpoint: always a plain model folder, beside it the adapters where there are some."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from worker.training.adapter import has_adapter, load_adapter, merged_tensors, save_adapter
from worker.training.distributed_sharding import load_shards

ADAPTER_FOLDER = "adapter"


def save_student(
    student: PreTrainedModel, folder: Path, *, whole: dict[str, Tensor] | None = None
) -> None:
    """A model folder that loads without peft; merging rounds, so the adapters are kept as they are.

    whole: the weights of a student that is sharded.
    """
    if has_adapter(student):
        student.save_pretrained(folder, state_dict=merged_tensors(student))
        save_adapter(student, folder / ADAPTER_FOLDER)
    else:
        student.save_pretrained(folder, state_dict=whole)


def plain_tensors(student: PreTrainedModel) -> Mapping[str, Tensor]:
    """The weights by name of the plain model that the student is, with any adapters merged in."""
    return merged_tensors(student) if has_adapter(student) else student.state_dict()


def restore_student(student: PreTrainedModel, folder: Path) -> None:
    """The weights of a folder that `save_student` wrote, to the last bit.

    With adapters the student must have been made from the same weights: those never change.
    """
    if has_adapter(student):
        load_adapter(student, folder / ADAPTER_FOLDER)
        return
    saved = AutoModelForCausalLM.from_pretrained(
        folder, dtype=student.dtype, use_safetensors=True, local_files_only=True
    )
    load_shards(student, saved)
