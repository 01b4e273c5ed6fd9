"""Models and data sets of the hub: from the local cache where they are there, else fetched, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
from huggingface_hub.errors import (
    DisabledRepoError,
    HTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from pydantic import SecretStr

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec_fields import ModelSpec
from service.preflight.hub_downloads import (
    DownloadWatch,
    HubFiles,
    fetch_large_files,
    sizes_of,
)
from service.preflight.hub_offline import NEEDED_FILES, is_offline, not_whole_offline
from service.preflight.json_files import invalid_model
from service.preflight.model_files import WEIGHTS_FILE, WEIGHTS_INDEX_FILE, check_weights
from service.preflight.tokenizer_files import CHAT_TEMPLATE_FILE
from service.settings import Settings

# The client's network errors, its answers with an error status, and files that it cannot write.
HUB_ERRORS = (HTTPError, OSError)
ABSENT = (
    RepositoryNotFoundError,
    RevisionNotFoundError,
    DisabledRepoError,
    RemoteEntryNotFoundError,
)
HUB_TIMEOUT_S = 5.0  # of one answer of the hub; a submission waits for it

DESCRIPTION_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    CHAT_TEMPLATE_FILE,
)
TOKENIZER_FILES = ("special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file of a data set on the hub, pinned to a commit: in the cache it is never asked for again."""

    dataset: str
    commit: str
    path: str


def cached_description(model: ModelSpec, *, settings: Settings) -> Path | None:
    """Folder with config and tokenizer files in the local cache; None where one is missing."""
    cached = _cached_folder(model, settings=settings)
    if cached is not None and all((cached / name).exists() for name in NEEDED_FILES):
        return cached
    return None


def snapshot_of_description(
    model: ModelSpec, *, token: SecretStr | None, settings: Settings, field: str
) -> Path:
    """Folder with config and tokenizer files, after making sure that the weights are safetensors.

    token: of the hub, for a model that is not public. Raises MODEL_NOT_FOUND, MODEL_INVALID or
    HUB_UNAVAILABLE.
    """
    _check_online(model, settings=settings, field=field)
    names = [one.rfilename for one in _siblings(model, token=token, settings=settings, field=field)]
    wanted = [name for name in names if name in DESCRIPTION_FILES]
    return _fetch(model, wanted, token=token, settings=settings, field=field)


def cached_everything(model: ModelSpec, *, settings: Settings, field: str) -> Path | None:
    """Folder with all that loading needs in the local cache; None where something is missing."""
    cached = _cached_folder(model, settings=settings)
    return cached if cached is not None and _is_complete(cached, model, field=field) else None


def snapshot_of_everything(
    model: ModelSpec,
    *,
    token: SecretStr | None,
    settings: Settings,
    field: str,
    watch: DownloadWatch,
) -> Path:
    """Folder with config, tokenizer and safetensors files.

    Raises as `snapshot_of_description` does, and DISK_FULL and DownloadStoppedError.
    """
    _check_online(model, settings=settings, field=field)
    siblings = _siblings(model, token=token, settings=settings, field=field)
    names = [one.rfilename for one in siblings]
    small = [
        name for name in names if name in (*DESCRIPTION_FILES, *TOKENIZER_FILES, WEIGHTS_INDEX_FILE)
    ]
    folder = _fetch(model, small, token=token, settings=settings, field=field)
    # Not the copies that some repositories keep in folders of their own.
    weights = [
        name
        for name in names
        if name.endswith(".safetensors") and name.startswith("model") and "/" not in name
    ]
    files = HubFiles(
        repository=model.model,
        commit=folder.name,
        sizes=sizes_of(weights, siblings),
        cache_dir=settings.hub_cache_dir,
        endpoint=settings.hub_endpoint,
        token=_text(token),
        timeout_s=HUB_TIMEOUT_S,
    )
    try:
        fetch_large_files(files, watch=watch, field=field)
    except HUB_ERRORS as error:
        raise _refusal(model, error, field=field) from error
    return folder


def fetch_dataset_file(file: DatasetFile, *, settings: Settings, field: str, advice: str) -> Path:
    """The file in the local cache. `advice` ends the message: what to do without the hub.

    Raises DATASET_NOT_FOUND where the hub does not have it, else HUB_UNAVAILABLE.
    """
    cached = _cached_dataset_file(file, settings=settings)
    if cached is not None:
        return cached
    try:
        if is_offline(settings):
            raise OSError("it is not asked, because DRIFTGATE_HUB_OFFLINE or HF_HUB_OFFLINE is set")
        _check_hub_answers(file, settings=settings)
        return _download(
            file.dataset,
            file.path,
            repo_type="dataset",
            revision=file.commit,
            token=None,
            settings=settings,
        )
    except HUB_ERRORS as error:
        given = f"{file.dataset}/{file.path}"
        raise DriftgateError(
            ErrorCode.DATASET_NOT_FOUND if isinstance(error, ABSENT) else ErrorCode.HUB_UNAVAILABLE,
            f"The hub does not give out {given!r} of {field} (commit {file.commit[:8]}): "
            f"{_reason(error)}. {advice}",
            [Violation(field, given, "a data set that the hub gives out, or a local copy")],
        ) from error


def _cached_dataset_file(file: DatasetFile, *, settings: Settings) -> Path | None:
    try:
        path = huggingface_hub.hf_hub_download(
            file.dataset,
            file.path,
            repo_type="dataset",
            revision=file.commit,
            cache_dir=settings.hub_cache_dir,
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        return None
    return Path(path)


def _check_hub_answers(file: DatasetFile, *, settings: Settings) -> None:
    """Raises one of HUB_ERRORS at once; a download would try again for half a minute."""
    url = huggingface_hub.hf_hub_url(
        file.dataset,
        file.path,
        repo_type="dataset",
        revision=file.commit,
        endpoint=settings.hub_endpoint,
    )
    huggingface_hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT_S, endpoint=settings.hub_endpoint)


def _download(
    repository: str,
    name: str,
    *,
    repo_type: Literal["model", "dataset"],
    revision: str | None,
    token: SecretStr | None,
    settings: Settings,
) -> Path:
    path = huggingface_hub.hf_hub_download(
        repository,
        name,
        repo_type=repo_type,
        revision=revision,
        token=_text(token),
        cache_dir=settings.hub_cache_dir,
        endpoint=settings.hub_endpoint,
        etag_timeout=HUB_TIMEOUT_S,
    )
    return Path(path)


def _cached_folder(model: ModelSpec, *, settings: Settings) -> Path | None:
    """The snapshot folder in the local cache, perhaps with only some of its files."""
    try:
        config = huggingface_hub.hf_hub_download(
            model.model,
            "config.json",
            revision=model.revision,
            cache_dir=settings.hub_cache_dir,
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        return None
    return Path(config).parent


def _is_complete(folder: Path, model: ModelSpec, *, field: str) -> bool:
    try:
        check_weights(folder, reference=model.model, field=field)
    except DriftgateError:
        return False
    return all((folder / name).exists() for name in NEEDED_FILES)


def _check_online(model: ModelSpec, *, settings: Settings, field: str) -> None:
    if is_offline(settings):
        folder = _cached_folder(model, settings=settings)
        raise not_whole_offline(model, folder, settings=settings, field=field)


def _siblings(
    model: ModelSpec, *, token: SecretStr | None, settings: Settings, field: str
) -> Sequence[RepoSibling]:
    """The files of the hub's repository, which hold config, tokenizer and safetensors."""
    try:
        info = huggingface_hub.HfApi(endpoint=settings.hub_endpoint).model_info(
            model.model,
            revision=model.revision,
            timeout=HUB_TIMEOUT_S,
            token=_text(token),
            files_metadata=True,
        )
    except HUB_ERRORS as error:
        raise _refusal(model, error, field=field) from error
    siblings = info.siblings or []
    names = [sibling.rfilename for sibling in siblings]
    missing = [name for name in NEEDED_FILES if name not in names]
    if WEIGHTS_FILE not in names and WEIGHTS_INDEX_FILE not in names:
        missing.append(WEIGHTS_FILE)
    if missing:
        raise invalid_model(
            model.model, f"its hub repository has no {' and no '.join(missing)}", field=field
        )
    return siblings


def _fetch(
    model: ModelSpec,
    names: Sequence[str],
    *,
    token: SecretStr | None,
    settings: Settings,
    field: str,
) -> Path:
    try:
        folders = {
            _download(
                model.model,
                name,
                repo_type="model",
                revision=model.revision,
                token=token,
                settings=settings,
            ).parent
            for name in names
        }
    except HUB_ERRORS as error:
        raise _refusal(model, error, field=field) from error
    if len(folders) > 1:
        raise _refusal(model, OSError("it changed while it was read; try again"), field=field)
    return folders.pop()


def _refusal(model: ModelSpec, error: Exception, *, field: str) -> DriftgateError:
    reason = _reason(error)
    if isinstance(error, ABSENT):
        if model.hub_token is None:
            advice = f"Check the id, name the secret of a private model in {field}.hub_token"
        else:
            advice = f"Check the id and what the token in secret {model.hub_token.secret} may read"
        return DriftgateError(
            ErrorCode.MODEL_NOT_FOUND,
            f"The hub does not give out {model.model!r} of {field} (revision "
            f"{model.revision or 'main'}): {reason}. {advice}, or put a folder of that name below the "
            "model root.",
            [Violation(f"{field}.model", model.model, "a model of the hub, or a local folder")],
        )
    return DriftgateError(
        ErrorCode.HUB_UNAVAILABLE,
        f"Model {model.model!r} of {field} is neither below the model root nor in the hub cache of "
        f"this machine, and the hub cannot be reached ({reason}). Put a folder of that name below "
        "the model root (DRIFTGATE_MODEL_ROOT), or try again with a network.",
        [Violation(f"{field}.model", model.model, "a folder below the model root")],
    )


def _text(token: SecretStr | None) -> str | None:
    """For the hub's client alone. Without a token it sends the one that this machine is logged in with."""
    return None if token is None else token.get_secret_value()


def _reason(error: Exception) -> str:
    """The first line of what went wrong."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
