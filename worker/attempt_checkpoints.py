"""The checkpoints of an attempt: saved and committed, the older ones removed, the newest restored."""

import logging
import shutil
from pathlib import Path

from service.errors import DriftgateError, ErrorCode
from service.jobs.results import Checkpoint
from worker.attempt import Attempt
from worker.training.checkpoints import verify_checkpoint, write_checkpoint
from worker.training.trainer import Trainer

logger = logging.getLogger(__name__)


class AttemptCheckpoints:
    """Writes below the attempt's folder; reads those of every attempt before."""

    def __init__(self, attempt: Attempt, *, keep_last: int) -> None:
        self._attempt = attempt
        self._keep_last = keep_last

    def restore_newest(self, trainer: Trainer) -> None:
        """Puts the trainer where the newest sound checkpoint stands, or leaves it at the start.

        Where it resumed is recorded before anything is trained: the rows of earlier attempts that lie
        after it stop counting.
        """
        self._restore_newest_sound(trainer)
        self._attempt.outlast(
            lambda: self._attempt.result_store.resume_from(
                self._attempt.lease, update=trainer.update
            )
        )
        logger.info("training starts after step %d, update %d", trainer.step, trainer.update)

    def save(self, trainer: Trainer, *, final: bool) -> None:
        """A complete checkpoint folder and its row; older ones go once the row is committed."""
        record = write_checkpoint(
            trainer.save,
            folder=self._attempt.directory / _folder_name(trainer),
            step=trainer.step,
            update=trainer.update,
            final=final,
        )
        if self._attempt.recorder.record_now(record):
            self._remove_older()

    def _restore_newest_sound(self, trainer: Trainer) -> None:
        checkpoints = self._attempt.outlast(self._saved)
        for checkpoint in checkpoints:
            try:
                verify_checkpoint(Path(checkpoint.uri), manifest_sha256=checkpoint.manifest_sha256)
            except DriftgateError as error:
                if error.code is not ErrorCode.CHECKPOINT_CORRUPT:
                    raise
                logger.warning("skipped: %s", error.message)
                continue
            trainer.restore(Path(checkpoint.uri))
            return

    def _saved(self) -> list[Checkpoint]:
        """Newest first."""
        return self._attempt.result_store.latest_checkpoints(self._attempt.lease.job_id)

    def _remove_older(self) -> None:
        """The row goes first: a folder without a row is litter, a row without a folder is a lie."""
        try:
            checkpoints = self._saved()
            for checkpoint in checkpoints[self._keep_last :]:
                if not checkpoint.final:
                    self._attempt.result_store.forget_checkpoint(
                        self._attempt.lease, checkpoint.uri
                    )
                    shutil.rmtree(checkpoint.uri, ignore_errors=True)
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            logger.warning("older checkpoints stay until the next is saved: %s", error.message)


def _folder_name(trainer: Trainer) -> str:
    """Two checkpoints of one step differ: at its end, and inside the next, cut by a stop."""
    name = f"step-{trainer.step}"
    return f"{name}-update-{trainer.update}" if trainer.is_inside_step else name
