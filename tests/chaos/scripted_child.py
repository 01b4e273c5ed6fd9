"""`worker.execute` whose distillation is scripted. The stores, the recorder, the checkpoints and how an attempt ends
are the real ones; modules that import torch have stand-ins, so that a child starts in a fraction of a second.
"""

import sys
from types import ModuleType

from service.jobs.spec import JobSpec
from service.jobs.state import JobPhase
from tests.chaos.scripted_training import ScriptedTrainer

WITHOUT_TORCH = (
    "torch",
    "transformers",
    "transformers.utils",
    "transformers.utils.logging",
    "worker.attempt_distillation",
    "worker.attempt_export",
    "worker.attempt_model_evaluation",
    "worker.attempt_regrade",
    "worker.rollouts.transformers_engine",
    "worker.training.models",
    "worker.training.trainer",
)


class StandIn(ModuleType):
    """Every name of it is an exception class of its own: good for an annotation, an isinstance, and a call."""

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        stand_in = type(name, (Exception,), {})
        setattr(self, name, stand_in)
        return stand_in


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


for _name in WITHOUT_TORCH:
    sys.modules[_name] = StandIn(_name)
sys.modules["worker.attempt_distillation"].distil = distil
sys.modules["worker.training.models"].compute_choice = lambda *_: "Computing by script."

from worker import execute  # noqa: E402
from worker.attempt_checkpoints import AttemptCheckpoints  # noqa: E402
from worker.attempt_end import StopRequestedError  # noqa: E402

main = execute.main

if __name__ == "__main__":
    sys.exit(main())
