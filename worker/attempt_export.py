"""An attempt at an export: a checkpoint of another job copied to where it is used."""

from service.errors import DriftgateError, ErrorCode
from service.jobs.export_spec import FolderDestination, HubDestination, ObjectStoreDestination
from service.jobs.records import AttemptEvent
from service.jobs.results import Checkpoint
from service.jobs.spec import ExportJobSpec
from service.jobs.state import JobPhase
from service.preflight.export import check_place, export_folder, find_exported
from service.secret_values import secret_value
from worker.attempt import Attempt
from worker.attempt_artifacts import model_of_checkpoint
from worker.exports.folder import copy_to_folder
from worker.exports.hub import push_to_hub
from worker.exports.model_card import model_card
from worker.exports.object_store import copy_to_store, open_store
from worker.exports.source import ExportSource, export_source


def export_checkpoint(attempt: Attempt, spec: ExportJobSpec) -> None:
    """Copies what no earlier attempt finished. Raises StopRequestedError when drained.

    Other errors are those of the destination (EXPORT_FAILED), of the files (CHECKPOINT_CORRUPT), and of
    what the spec names and is not there.
    """
    attempt.recorder.record_now(JobPhase.EXPORTING)
    checkpoint = attempt.outlast(
        lambda: find_exported(spec, job_store=attempt.job_store, result_store=attempt.result_store)
    )
    try:
        _copy(attempt, spec, checkpoint)
    except DriftgateError as error:
        if error.code in (ErrorCode.CHECKPOINT_CORRUPT, ErrorCode.RESOURCE_NOT_FOUND):
            _check_still_there(attempt, spec, checkpoint)
        raise


def _copy(attempt: Attempt, spec: ExportJobSpec, checkpoint: Checkpoint) -> None:
    with model_of_checkpoint(attempt, checkpoint) as folder:
        source = export_source(
            folder, stop=attempt.stop, report=lambda text: _record(attempt, text)
        )
        match spec.destination:
            case FolderDestination():
                target = export_folder(spec.destination, settings=attempt.settings)
                copy_to_folder(source, target, job_id=attempt.lease.job_id)
            case ObjectStoreDestination():
                _copy_to_store(attempt, source, spec.destination)
            case HubDestination():
                _push_to_hub(attempt, source, spec.destination, checkpoint, job_id=spec.job_id)


def _copy_to_store(
    attempt: Attempt, source: ExportSource, destination: ObjectStoreDestination
) -> None:
    check_place(destination, settings=attempt.settings)
    secrets = {
        name: secret_value(
            getattr(destination.credentials, name),
            settings=attempt.settings,
            field=f"destination.credentials.{name}",
        ).get_secret_value()
        for name in (destination.credentials.names() if destination.credentials else ())
    }
    store = open_store(destination, secrets=secrets)
    copy_to_store(source, store, url=destination.url, secrets=secrets.values())


def _push_to_hub(
    attempt: Attempt,
    source: ExportSource,
    destination: HubDestination,
    checkpoint: Checkpoint,
    *,
    job_id: str,
) -> None:
    check_place(destination, settings=attempt.settings)
    token = secret_value(destination.token, settings=attempt.settings, field="destination.token")
    job = attempt.outlast(lambda: attempt.job_store.get(job_id))
    push_to_hub(
        source,
        destination,
        token=token.get_secret_value(),
        endpoint=attempt.settings.hub_endpoint,
        card=model_card(job, checkpoint),
    )


def _record(attempt: Attempt, text: str) -> None:
    attempt.recorder.record_now(AttemptEvent("export_progress", text))


def _check_still_there(attempt: Attempt, spec: ExportJobSpec, checkpoint: Checkpoint) -> None:
    """Raises EXPORT_FAILED where the job that saved the checkpoint has removed it since."""
    kept = attempt.outlast(lambda: attempt.result_store.latest_checkpoints(spec.job_id))
    if checkpoint.uri not in [each.uri for each in kept]:
        raise DriftgateError(
            ErrorCode.EXPORT_FAILED,
            f"Job {spec.job_id} removed its checkpoint of step {checkpoint.step} while it was copied. "
            "Export the one that it saves at its end, or let it keep more (checkpoint.keep_last).",
        )
