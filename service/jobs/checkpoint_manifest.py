"""What a checkpoint folder holds: its manifest, which of its files are the model, and what clients see of it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, Field

from service.jobs.results import Checkpoint, View

MANIFEST_FILE = "manifest.json"

# What only a resume needs: optimiser, counters, and the rollouts of a step that was cut.
RESUME_FILES = frozenset(
    {"optimizer.safetensors", "trainer_state.json", "unfinished_step.safetensors"}
)


class FileEntry(BaseModel):
    """Size and hash of one file."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class CheckpointManifest(BaseModel):
    """The file `manifest.json` of a checkpoint folder, which does not list itself."""

    model_config = ConfigDict(frozen=True)

    step: int
    update: int
    files: dict[str, FileEntry] = Field(description="By path below the folder, with slashes.")

    def of(self, names: Iterable[str]) -> "CheckpointManifest":
        """The manifest of a copy that has only these files."""
        return self.model_copy(update={"files": {name: self.files[name] for name in names}})

    def loadable_names(self) -> tuple[str, ...]:
        """Of the model's files, in order."""
        return tuple(name for name in sorted(self.files) if is_loadable(name))

    def text(self) -> bytes:
        """As it stands in a file."""
        return json.dumps(self.model_dump(), sort_keys=True, indent=1).encode()


class CheckpointFile(View):
    """One file of a checkpoint."""

    name: str = Field(description="Path below the checkpoint's folder.")
    size_bytes: int
    sha256: str
    loadable: bool = Field(description="Part of the model; false of what only a resume needs.")


class CheckpointContent(View):
    """A checkpoint and the files of its folder, by name."""

    job_id: str
    checkpoint: Checkpoint
    files: tuple[CheckpointFile, ...]


def is_loadable(name: str) -> bool:
    """Whether the file is part of the model that transformers loads, its tokenizer or its adapters."""
    return name not in RESUME_FILES


def is_plain_name(name: str) -> bool:
    """Whether the name stays below the folder that it is joined to, and is written in one way only."""
    path = PurePosixPath(name)
    is_canonical = str(path) == name and not path.is_absolute() and "\0" not in name
    return is_canonical and name != "." and ".." not in path.parts


def checkpoint_of_step(checkpoints: Sequence[Checkpoint], step: int | None) -> Checkpoint | None:
    """Of a job's checkpoints, newest first: the one at the end of the step, or the newest for None.

    A checkpoint that was cut inside the next step has the same number and lies before it in the list.
    """
    of_step = [each for each in checkpoints if each.step == step]
    if step is None:
        return checkpoints[0] if checkpoints else None
    return of_step[-1] if of_step else None
