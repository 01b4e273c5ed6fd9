"""The student in a checkpoint: always a plain model folder, beside it the adapters where there are some."""

from pathlib import Path

from transformers import PreTrainedModel

from worker.training.adapter import has_adapter, load_adapter, merged_tensors, save_adapter

ADAPTER_FOLDER = "adapter"


def save_student(student: PreTrainedModel, folder: Path) -> None:
    """A model folder that loads without peft; merging rounds, so the adapters are kept as they are."""
    if has_adapter(student):
        student.save_pretrained(folder, state_dict=merged_tensors(student))
        save_adapter(student, folder / ADAPTER_FOLDER)
    else:
        student.save_pretrained(folder)


def restore_student(student: PreTrainedModel, folder: Path) -> None:
    """The weights of a folder that `save_student` wrote, to the last bit.

    With adapters the student must have been made from the same weights: those never change.
    """
    if has_adapter(student):
        load_adapter(student, folder / ADAPTER_FOLDER)
    else:
        saved = type(student).from_pretrained(
            folder, dtype=student.dtype, use_safetensors=True, local_files_only=True
        )
        student.load_state_dict(saved.state_dict())
