"""`worker.execute` whose distillation is scripted. The stores, the recorder, the checkpoints and how an attempt ends
are the real ones; modules that import torch have stand-ins, so that a child starts in a fraction of a second.
"""

import importlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from service.jobs.spec import JobSpec
from service.jobs.state import JobPhase
from tests.chaos.scripted_training import ScriptedTrainer

# What computes has stand-ins, whatever modules it is made of.
PACKAGES = ("torch", "transformers", "peft", "safetensors.torch")
PREFIXES = ("worker.training.", "worker.rollouts.", "worker.attempt_", "worker.ranks_")
REAL = frozenset(
    {
        "worker.attempt_artifacts",
        "worker.attempt_checkpoints",
        "worker.attempt_end",
        "worker.attempt_guard",
        "worker.attempt_process",
        "worker.training.checkpoints",
    }
)


def _stood_in(owner: object, name: str) -> type[Exception]:
    if name.startswith("__"):
        raise AttributeError(name)
    stand_in = AnyNames(name, (AnyError,), {})
    setattr(owner, name, stand_in)
    return stand_in


class AnyNames(type):
    """Every name of such a class is another one."""

    __getattr__ = _stood_in


class AnyError(Exception):
    def __init__(self, *_arguments: object, **_options: object) -> None:
        super().__init__()


class StandIn(ModuleType):
    """Every name of it is an exception class of its own: good for an annotation, an isinstance, and a call."""

    __getattr__ = _stood_in


class StandIns(MetaPathFinder, Loader):
    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        is_library = any(name == each or name.startswith(f"{each}.") for each in PACKAGES)
        is_ours = name.startswith(PREFIXES) and name not in REAL
        return ModuleSpec(name, self, is_package=True) if is_library or is_ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, _module: ModuleType) -> None:
        pass


class Alone:
    """The one rank of an attempt: tells no other anything."""

    rank = 0
    num_ranks = 1

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_arguments: None


@contextmanager
def joined_ranks() -> Iterator[Alone]:
    yield Alone()


def script(module: str, **functions: Callable[..., object]) -> None:
    vars(importlib.import_module(module)).update(functions)


def distil(attempt, spec: JobSpec, **_where: object) -> None:
    """The order of writes is that of `worker.attempt_distillation`."""
    trainer = ScriptedTrainer(spec)
    checkpoints = AttemptCheckpoints(attempt, keep_last=spec.checkpoint.keep_last)

    def checkpoint(final: bool) -> None:
        attempt.recorder.record_now(JobPhase.CHECKPOINTING)
        checkpoints.save(trainer, final=final)
        if not (final or attempt.stop.is_set()):
            attempt.recorder.record_now(JobPhase.TRAINING)

    checkpoints.restore_newest(trainer)
    attempt.recorder.record_now(JobPhase.TRAINING)
    try:
        finished = trainer.train(
            on_update=attempt.recorder.record_update, on_checkpoint=checkpoint, stop=attempt.stop
        )
    finally:
        attempt.recorder.flush()
    if not finished:
        raise StopRequestedError


sys.meta_path.insert(0, StandIns())
script("worker.attempt_distillation", distil=distil)
script("worker.training.models", compute_choice=lambda *_: "Computing by script.")
script("worker.training.distributed", ALONE=Alone())
script("worker.rollouts.engine_choice", choose_engine=lambda *_: "script")
script("worker.ranks_joining", joined_ranks=joined_ranks, stop_signal=lambda: signal.SIGTERM)

from worker import execute  # noqa: E402
from worker.attempt_checkpoints import AttemptCheckpoints  # noqa: E402
from worker.attempt_end import StopRequestedError  # noqa: E402

main = execute.main

if __name__ == "__main__":
    sys.exit(main())
