"""The child process of one attempt: loads, evaluates, trains, evaluates.

Started by the supervisor as `python -m worker.execute`; it writes everything but the job's final state,
which is the supervisor's once this process has been reaped.
"""

import argparse
import faulthandler
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from service.errors import DriftgateError, ErrorCode
from service.jobs.records import AttemptEvent
from service.jobs.results import Failure, FieldViolation
from service.jobs.spec import EvaluationJobSpec, ExportJobSpec, RegradeJobSpec
from service.jobs.state import JobPhase
from service.settings import Settings, load_settings
from service.stop_signals import stop_on_signals
from service.storage.job_store import JobStore, Lease
from service.storage.result_store import ResultStore
from service.storage.sessions import Database
from worker.attempt import Attempt, EngineFactory
from worker.attempt_distillation import distil
from worker.attempt_end import AWAY, ExitStatus, StopRequestedError, write_failure
from worker.attempt_engines import make_engine
from worker.attempt_export import export_checkpoint
from worker.attempt_model_evaluation import evaluate_model
from worker.attempt_regrade import regrade
from worker.evaluation.symbolic.pool import GraderUnavailableError
from worker.ranks_following import compute_of_ranks, follow
from worker.ranks_joining import joined_ranks, stop_signal
from worker.recorder import Recorder
from worker.rollouts.engine_choice import choose_engine
from worker.spool import SPOOL_FILE, Spool, SpoolDamagedError, remove_spools
from worker.training.distributed import ALONE, PeerLostError, Ranks, Task
from worker.training.models import compute_choice, compute_device, compute_dtype

logger = logging.getLogger(__name__)

NUM_TRACEBACK_LINES = 6


def main(
    arguments: Sequence[str] | None = None, *, make_engine: EngineFactory = make_engine
) -> int:
    """Runs the attempt named on the command line; an ExitStatus, or a traceback for a crash."""
    options = _parse(arguments)
    if options.devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = options.devices  # before anything looks for them
    faulthandler.enable()  # a crash of native code leaves its traceback in the log
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    disable_progress_bar()  # the log is no terminal
    stop = stop_on_signals([stop_signal()])
    # The supervisor decides about Ctrl-C in a terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lease = Lease(job_id=options.job, epoch=options.epoch, owner=options.owner)
    try:
        _take_part(lease, attempt_dir=options.attempt_dir, stop=stop, make_engine=make_engine)
    except StopRequestedError:
        return ExitStatus.STOPPED
    except DriftgateError as error:
        if error.code is ErrorCode.LEASE_LOST:
            return ExitStatus.FENCED
        if error.code is ErrorCode.DATABASE_UNAVAILABLE:
            return ExitStatus.STOPPED
        logger.exception("the attempt failed")
        if error.code in AWAY:
            with suppress(OSError):  # maybe there is no room for it either
                write_failure(_failure_of_refusal(error), options.attempt_dir)
            return ExitStatus.NO_STORE
        write_failure(_failure_of_refusal(error), options.attempt_dir)
        return ExitStatus.FAILED
    except (SpoolDamagedError, GraderUnavailableError):
        raise  # a crash: the next attempt computes again what is lost, or grades what is there
    except PeerLostError as error:
        logger.warning("another rank has ended: %s", error)
        return ExitStatus.PEER_LOST
    except Exception as error:
        logger.exception("the attempt failed")
        write_failure(_failure_of_bug(error), options.attempt_dir)
        return ExitStatus.FAILED
    return ExitStatus.DONE


def _take_part(
    lease: Lease, *, attempt_dir: Path, stop: threading.Event, make_engine: EngineFactory
) -> None:
    """Runs the attempt, as the only process or the first of several ranks; or follows the first."""
    settings = load_settings()
    with joined_ranks() as ranks:
        if ranks.rank > 0:
            follow(ranks, make_engine=make_engine, num_threads=settings.threads_per_job)
            return
        run(
            lease,
            attempt_dir=attempt_dir,
            settings=settings,
            stop=stop,
            make_engine=make_engine,
            ranks=ranks,
        )
        ranks.order(Task.END)


def run(
    lease: Lease,
    *,
    attempt_dir: Path,
    settings: Settings,
    stop: threading.Event,
    make_engine: EngineFactory,
    ranks: Ranks = ALONE,
) -> None:
    """Does what earlier attempts have not done of the job. Raises StopRequestedError when drained."""
    torch.set_num_threads(settings.threads_per_job)
    remove_spools(attempt_dir.parent, before_epoch=lease.epoch)
    database = Database(settings.resolved_database_url())
    job_store, result_store = JobStore(database), ResultStore(database)
    attempt = Attempt(
        lease=lease,
        directory=attempt_dir,
        settings=settings,
        job_store=job_store,
        result_store=result_store,
        recorder=Recorder(
            job_store=job_store,
            result_store=result_store,
            lease=lease,
            spool=Spool(attempt_dir / SPOOL_FILE),
        ),
        stop=stop,
        make_engine=make_engine,
        ranks=ranks,
    )
    spec = attempt.outlast(lambda: job_store.get(lease.job_id)).spec
    attempt.recorder.record_now(JobPhase.LOADING)
    if isinstance(spec, RegradeJobSpec):
        regrade(attempt, spec)
    elif isinstance(spec, ExportJobSpec):
        export_checkpoint(attempt, spec)
    else:
        device = compute_device(spec.compute)
        dtype = compute_dtype(spec.compute, device)
        engine = choose_engine(compute_of_ranks(spec.compute, ranks=ranks), device)
        choice = f"{compute_choice(spec.compute, device, dtype)} Responses by {engine}."
        if ranks.num_ranks > 1:
            choice += f" On {ranks.num_ranks} devices together."
        attempt.recorder.record_now(AttemptEvent("compute_chosen", choice))
        if isinstance(spec, EvaluationJobSpec):
            evaluate_model(attempt, spec, device=device, dtype=dtype)
        else:
            distil(attempt, spec, device=device, dtype=dtype)
    attempt.recorder.write_all(pause=attempt.pause)


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
            message=f"Out of memory{_place_of(error)}: {error}. Lower compute.max_tokens_per_microbatch or "
            "compute.rollout_batch_size, or use a device with more memory.",
        )
    return Failure(
        code=ErrorCode.INTERNAL,
        message=f"{type(error).__name__}: {error}\n" + "\n".join(lines),
    )


def _place_of(error: Exception) -> str:
    """Of several ranks which."""
    return "".join(f" {note}" for note in getattr(error, "__notes__", ()))


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
    parser.add_argument("--devices", help="GPUs to use, as in CUDA_VISIBLE_DEVICES; else all")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
