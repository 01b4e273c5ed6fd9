"""An export to the model hub: one commit with the model's files, the manifest and a model card."""

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import MANIFEST_FILE
from service.jobs.export_spec import HubDestination
from worker.exports.source import ExportSource, size_text
from worker.exports.tries import Tries

SERVER_ERROR = 500
MAIN = "main"
CARD_FILE = "README.md"


def push_to_hub(
    source: ExportSource,
    destination: HubDestination,
    *,
    token: str,
    endpoint: str | None,
    card: str,
) -> None:
    """The commit is there whole or not at all; files that the repository has are not sent again.

    Raises EXPORT_FAILED, CHECKPOINT_CORRUPT and StopRequestedError. A stop is heeded before the upload,
    not in the middle of it: what was sent until then the next attempt need not send.
    """
    for name in source.manifest.files:
        for _ in source.chunks(name):  # proved, for the hub's client reads the files by itself
            pass
    tried = Tries((HTTPError, OSError, ValueError), _may_pass, source.stop, [token])
    api = HfApi(endpoint=endpoint, token=token)
    tried(
        f"The hub did not take the checkpoint as {destination.repo_id}",
        lambda: _push(source, destination, api, card=card),
    )


def _push(source: ExportSource, destination: HubDestination, api: HfApi, *, card: str) -> None:
    api.create_repo(destination.repo_id, private=destination.private, exist_ok=True)
    if destination.private and not api.model_info(destination.repo_id).private:
        raise DriftgateError(
            ErrorCode.EXPORT_FAILED,
            f"The hub's repository {destination.repo_id} is public, and the export is to be private. "
            "Name another repository, or set destination.private to false.",
        )
    if destination.revision != MAIN:
        api.create_branch(destination.repo_id, branch=destination.revision, exist_ok=True)
    files = source.manifest.files
    there = api.list_repo_files(destination.repo_id, revision=destination.revision)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(name, source.path(name)) for name in files),
        CommitOperationAdd(MANIFEST_FILE, source.manifest.text()),
        # Weights of an earlier model, which might be loaded in place of these.
        *(CommitOperationDelete(name) for name in there if _is_weights(name) and name not in files),
    ]
    if CARD_FILE not in there:  # else somebody may have written it
        operations.append(CommitOperationAdd(CARD_FILE, card.encode()))
    api.create_commit(
        destination.repo_id,
        operations,
        commit_message=f"Step {source.manifest.step} of a Driftgate job",
        revision=destination.revision,
    )
    size = size_text(sum(entry.size_bytes for entry in files.values()))
    source.report(f"Copied {len(files)} of {len(files)} files, {size}, in one commit.")


def _is_weights(name: str) -> bool:
    return "/" not in name and name.endswith((".safetensors", ".safetensors.index.json"))


def _may_pass(error: Exception) -> bool:
    """Whether a later try may succeed: no answer, or one that blames the server."""
    if isinstance(error, HfHubHTTPError):
        return error.response is None or error.response.status_code >= SERVER_ERROR
    return isinstance(error, HTTPError | OSError)
