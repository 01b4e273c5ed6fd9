"""The child process of one attempt: loads, evaluates, trains, evaluates.

Started by the supervisor as `python -m worker.execute`; it writes everything but the job's final state,
which is the supervisor's once this process has been reaped.
"""

import argparse
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import AttemptEvent
from service.jobs.results import Failure, FieldViolation
from service.jobs.spec import JobSpec
from service.jobs.state import JobPhase
from service.preflight.problems import load_problems
from service.settings import Settings, load_settings
from service.stop_signals import stop_on_signals
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from worker.attempt_checkpoints import AttemptCheckpoints
from worker.attempt_end import ExitStatus, StopRequestedError, write_failure
from worker.attempt_evaluation import AttemptEvaluation, load_benchmarks
from worker.attempt_models import load_models
from worker.database_outage import outlast_outage
from worker.recorder import Recorder
from worker.rollouts.prompts import Prompt, encode_prompts
from worker.training.models import compute_choice, compute_device, compute_dtype
from worker.training.trainer import Trainer

logger = logging.getLogger(__name__)

DATABASE_RETRY_S = 2.0
NUM_TRACEBACK_LINES = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the attempt named on the command line; an ExitStatus, or a traceback for a crash."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    disable_progress_bar()  # the log is no terminal
    stop = stop_on_signals([signal.SIGTERM])
    # The supervisor decides about Ctrl-C in a terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lease = Lease(job_id=options.job, epoch=options.epoch, owner=options.owner)
    try:
        run(lease, attempt_dir=options.attempt_dir, settings=load_settings(), stop=stop)
    except StopRequestedError:
        return ExitStatus.STOPPED
    except DriftgateError as error:
        if error.code is ErrorCode.LEASE_LOST:
            return ExitStatus.FENCED
        if error.code is ErrorCode.DATABASE_UNAVAILABLE:
            return ExitStatus.STOPPED
        logger.exception("the attempt failed")
        write_failure(_failure_of_refusal(error), options.attempt_dir)
        return ExitStatus.FAILED
    except Exception as error:
        logger.exception("the attempt failed")
        write_failure(_failure_of_bug(error), options.attempt_dir)
        return ExitStatus.FAILED
    return ExitStatus.DONE


def run(lease: Lease, *, attempt_dir: Path, settings: Settings, stop: threading.Event) -> None:
    """Does what earlier attempts have not done of the job. Raises StopRequestedError when drained."""
    torch.set_num_threads(settings.threads_per_job)
    database = Database(settings.resolved_database_url())
    job_store, result_store = JobStore(database), ResultStore(database)
    recorder = Recorder(job_store=job_store, result_store=result_store, lease=lease)

    def pause() -> bool:
        return stop.wait(DATABASE_RETRY_S)

    spec = outlast_outage(lambda: job_store.get(lease.job_id), pause=pause).spec

    def evaluated() -> set[tuple[str, str]]:
        return outlast_outage(lambda: result_store.evaluated(lease.job_id), pause=pause)

    recorder.record_now(JobPhase.LOADING)
    device = compute_device(spec.compute)
    dtype = compute_dtype(spec.compute, device)
    choice = compute_choice(spec.compute, device, dtype)
    recorder.record_now(AttemptEvent("compute_chosen", choice))
    models = load_models(
        spec,
        device=device,
        dtype=dtype,
        settings=settings,
        job_store=job_store,
        result_store=result_store,
        pause=pause,
    )
    prompts = _training_prompts(spec, models.tokenizer, settings)
    evaluation = AttemptEvaluation(
        spec=spec,
        benchmarks=load_benchmarks(
            spec, tokenizer=models.tokenizer, dataset_root=settings.resolved_dataset_root()
        ),
        tokenizer=models.tokenizer,
        recorder=recorder,
        evaluated=evaluated,
        stop=stop,
    )

    evaluation.run("baseline", phase=JobPhase.BASELINE_EVALUATION, engine=models.student_engine)

    trainer = Trainer(
        spec,
        student=models.student,
        teacher=models.teacher,
        tokenizer=models.tokenizer,
        prompts=prompts,
        engine=models.student_engine,
        device=device,
    )
    checkpoints = AttemptCheckpoints(
        result_store=result_store,
        recorder=recorder,
        lease=lease,
        attempt_dir=attempt_dir,
        keep_last=spec.checkpoint.keep_last,
        pause=pause,
    )
    checkpoints.restore_newest(trainer)
    _train(trainer, recorder, checkpoints, stop)

    evaluation.run("final", phase=JobPhase.EVALUATING, engine=models.student_engine)
    if spec.evaluation.evaluate_teacher:
        evaluation.run("teacher", phase=JobPhase.EVALUATING, engine=models.teacher_engine)
    recorder.write_all(pause=pause)


def _train(
    trainer: Trainer, recorder: Recorder, checkpoints: AttemptCheckpoints, stop: threading.Event
) -> None:
    def checkpoint(final: bool) -> None:  # noqa: FBT001 the trainer's callback
        recorder.record_now(JobPhase.CHECKPOINTING)
        checkpoints.save(trainer, final=final)
        if not (final or stop.is_set()):
            recorder.record_now(JobPhase.TRAINING)

    recorder.record_now(JobPhase.TRAINING)
    try:
        finished = trainer.train(
            on_update=recorder.record_update, on_checkpoint=checkpoint, should_stop=stop.is_set
        )
    finally:
        # What led to a failure is what its reader wants to see.
        recorder.flush()
    if not finished:
        raise StopRequestedError


def _training_prompts(
    spec: JobSpec, tokenizer: PreTrainedTokenizerBase, settings: Settings
) -> tuple[Prompt, ...]:
    source, field = spec.prompts.problems, "prompts.problems"
    problems = load_problems(
        source,
        dataset_root=settings.resolved_dataset_root(),
        split="training",
        field=field,
        graded=False,
    )
    return encode_prompts(
        problems,
        source=source,
        prompt_format=spec.prompts.format,
        tokenizer=tokenizer,
        max_prompt_tokens=spec.rollout.max_prompt_tokens,
        field=field,
    )


def _failure_of_refusal(error: DriftgateError) -> Failure:
    violations = tuple(
        FieldViolation(field=violation.field, given=violation.given, allowed=violation.allowed)
        for violation in error.violations
    )
    return Failure(code=error.code, message=error.message, violations=violations)


def _failure_of_bug(error: Exception) -> Failure:
    """What nobody foresaw, with the lines that a person needs to find it."""
    lines = "".join(traceback.format_exception(error)).splitlines()[-NUM_TRACEBACK_LINES:]
    if _is_out_of_memory(error):
        return Failure(
            code=ErrorCode.OUT_OF_MEMORY,
            message=f"Out of memory: {error}. Lower compute.max_tokens_per_microbatch or "
            "compute.rollout_batch_size, or use a device with more memory.",
        )
    return Failure(
        code=ErrorCode.INTERNAL,
        message=f"{type(error).__name__}: {error}\n" + "\n".join(lines),
    )


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU allocator of torch raises a plain RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.execute", description=__doc__)
    parser.add_argument("--job", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--attempt-dir", required=True, type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
