"""The checkpoints of an attempt: saved and committed, the older ones removed, the newest restored."""

import logging
import shutil
import time
from dataclasses import replace

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import AttemptEvent, CheckpointRecord
from service.jobs.results import Checkpoint
from service.jobs.state import JobPhase
from worker.attempt import Attempt
from worker.attempt_artifacts import local_checkpoint, remove_leftovers
from worker.training.checkpoints import write_checkpoint
from worker.training.trainer import Trainer

logger = logging.getLogger(__name__)

# Where a checkpoint is written that is to be sent elsewhere; see worker.scratch.
UNSENT = ".unsent"
# A checkpoint quicker than this is no phase that anyone could watch; those of all steps would fill the history.
SHOWN_S = 1.0
UNUSABLE = frozenset({ErrorCode.CHECKPOINT_CORRUPT, ErrorCode.RESOURCE_NOT_FOUND})


class AttemptCheckpoints:
    """Writes below the attempt's key of the artifact store; reads those of every attempt before.

    Any call waits for a store that is full or away, and raises ARTIFACTS_UNAVAILABLE in the end.
    """

    def __init__(self, attempt: Attempt, *, keep_last: int) -> None:
        self._attempt = attempt
        self._keep_last = keep_last
        self._is_quick = False  # until one has been

    def restore_newest(self, trainer: Trainer) -> None:
        """Puts the trainer where the newest sound checkpoint stands, or leaves it at the start.

        Where it resumed is recorded before anything is trained: the rows of earlier attempts that lie
        after it stop counting.
        """
        # Also proves, before anything is trained, that the store answers.
        self._attempt.outlast_store(lambda: remove_leftovers(self._attempt))
        self._restore_newest_sound(trainer)
        self._attempt.outlast(
            lambda: self._attempt.result_store.resume_from(
                self._attempt.lease, update=trainer.update
            )
        )
        logger.info("training starts after step %d, update %d", trainer.step, trainer.update)

    def save(self, trainer: Trainer, *, final: bool) -> None:
        """A complete checkpoint folder and its row; older ones go once the row is committed. A phase of the job,
        unless the last was quick.

        While the folder cannot be written the trainer's state stays as it is, and so do earlier checkpoints.
        """
        recorder, is_shown = self._attempt.recorder, not self._is_quick
        if is_shown:
            recorder.record_now(JobPhase.CHECKPOINTING)
        started = time.perf_counter()
        record = self._attempt.outlast_store(lambda: self._publish(trainer, final=final))
        if recorder.record_now(record):
            self._remove_older()
        self._is_quick = time.perf_counter() - started < SHOWN_S
        if is_shown and not (final or self._attempt.stop.is_set()):
            recorder.record_now(JobPhase.TRAINING)

    def _publish(self, trainer: Trainer, *, final: bool) -> CheckpointRecord:
        lease, store = self._attempt.lease, self._attempt.artifacts.written
        name = _folder_name(trainer)
        key = f"jobs/{lease.job_id}/{lease.epoch}/{name}"
        unsent = self._attempt.directory / UNSENT
        try:
            folder = store.local_path(key) or unsent / name
            record = write_checkpoint(
                trainer.save, folder=folder, step=trainer.step, update=trainer.update, final=final
            )
            store.put_folder(folder, key)
        finally:
            shutil.rmtree(unsent, ignore_errors=True)
        return replace(record, uri=store.uri(key))

    def _restore_newest_sound(self, trainer: Trainer) -> None:
        for checkpoint in self._attempt.outlast(self._saved):
            try:
                with local_checkpoint(self._attempt, checkpoint) as folder:
                    trainer.restore(folder)
            except DriftgateError as error:
                if error.code not in UNUSABLE:
                    raise
                message = f"Step {checkpoint.step}, update {checkpoint.update}: {error.message}"
                logger.warning("skipped: %s", message)
                self._attempt.recorder.record_now(AttemptEvent("checkpoint_skipped", message))
                continue
            return

    def _saved(self) -> list[Checkpoint]:
        """Newest first."""
        return self._attempt.result_store.latest_checkpoints(self._attempt.lease.job_id)

    def _remove_older(self) -> None:
        """Also what an attempt went back behind, such as one that was damaged.

        The row goes first: a folder without a row is litter, a row without a folder is a lie.
        """
        lease, result_store = self._attempt.lease, self._attempt.result_store
        try:
            saved = self._saved()
            kept = {each.uri for each in saved[: self._keep_last]}
            kept |= {each.uri for each in saved if each.final}
            for uri in sorted(result_store.checkpoint_uris(lease.job_id) - kept):
                result_store.forget_checkpoint(lease, uri)
                self._remove_folder(uri)
        except DriftgateError as error:
            if error.code is not ErrorCode.DATABASE_UNAVAILABLE:
                raise
            logger.warning("older checkpoints stay until the next is saved: %s", error.message)

    def _remove_folder(self, uri: str) -> None:
        """What stays for now goes with the job, or when another attempt at it starts."""
        found = self._attempt.artifacts.holding(uri)
        if found is None:
            return
        store, key = found
        try:
            store.remove_folder(key)
        except OSError as error:
            logger.warning("checkpoint %s stays for now: %s", uri, error)
        except DriftgateError as error:
            if error.code is not ErrorCode.ARTIFACTS_UNAVAILABLE:
                raise
            logger.warning("checkpoint %s stays for now: %s", uri, error.message)


def _folder_name(trainer: Trainer) -> str:
    """Two checkpoints of one step differ: at its end, and inside the next, cut by a stop."""
    name = f"step-{trainer.step}"
    return f"{name}-update-{trainer.update}" if trainer.is_inside_step else name
