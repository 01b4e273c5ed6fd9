"""A model reference becomes a path: built in, below the model root, or a hub id on the allow list.

The path is a folder of safetensors or, below the model root only, one GGUF file.
"""

import os
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from pydantic import SecretStr

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec_fields import ModelSpec
from service.preflight import hub
from service.preflight.folder_signature import (
    BUILTIN_FOLDER,
    FolderSignature,
    folder_signature,
)
from service.preflight.gguf_header import GGUF_SUFFIX
from service.preflight.hub_downloads import UNWATCHED, DownloadWatch
from service.preflight.json_files import invalid_model
from service.preflight.model_files import WEIGHTS_FILE, WEIGHTS_INDEX_FILE, check_weights
from service.secret_values import token_value
from service.settings import Settings

BUILTIN_PREFIX = "builtin/"
# As strict as the hub client, which raises errors of its own for anything else.
MAX_FILES_NAMED = 4
HUB_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._\-]{0,94}[A-Za-z0-9])?"
HUB_ID = re.compile(rf"(?!.*(?:--|\.\.|\.git$)){HUB_NAME}/{HUB_NAME}")


def resolve_model(model: ModelSpec, *, settings: Settings, field: str) -> Path | None:
    """Where the model's config and tokenizer are; of a hub model the weights may still be away.

    None of a model that needs a secret and is not in the local cache: only the worker can read it.
    `field` is the part of the spec that names the model (`student`, `teacher`). Raises
    MODEL_NOT_FOUND, MODEL_OUTSIDE_ROOT, MODEL_NOT_ALLOWED, MODEL_INVALID or HUB_UNAVAILABLE.
    """
    folder = _folder_here(model, settings=settings, field=field)
    if folder is not None or model.hub_token is not None:
        return folder
    return hub.snapshot_of_description(model, token=None, settings=settings, field=field)


def resolve_model_with_secret(model: ModelSpec, *, settings: Settings, field: str) -> Path:
    """As `resolve_model`, on the worker, which has the secrets. Raises SECRET_NOT_FOUND besides."""
    folder = _folder_here(model, settings=settings, field=field)
    if folder is not None:
        return folder
    token = _hub_token(model, settings=settings, field=field)
    return hub.snapshot_of_description(model, token=token, settings=settings, field=field)


def download_model(
    model: ModelSpec, *, settings: Settings, field: str, watch: DownloadWatch = UNWATCHED
) -> Path:
    """Where everything is that loading needs, the weights of a hub model included.

    On the worker: it has the secrets. Raises as `resolve_model_with_secret` does, DISK_FULL and
    DownloadStoppedError.
    """
    folder = _local_folder(model, settings=settings, field=field)
    if folder is not None:
        return folder
    _check_hub_id(model, settings=settings, field=field)
    cached = hub.cached_everything(model, settings=settings, field=field)
    if cached is not None:
        return cached
    token = _hub_token(model, settings=settings, field=field)
    return hub.snapshot_of_everything(
        model, token=token, settings=settings, field=field, watch=watch
    )


def _folder_here(model: ModelSpec, *, settings: Settings, field: str) -> Path | None:
    """The local folder or that of the hub's cache."""
    folder = _local_folder(model, settings=settings, field=field)
    if folder is not None:
        return folder
    _check_hub_id(model, settings=settings, field=field)
    return hub.cached_description(model, settings=settings)


def _hub_token(model: ModelSpec, *, settings: Settings, field: str) -> SecretStr | None:
    if model.hub_token is None:
        return None
    return token_value(model.hub_token, settings=settings, field=f"{field}.hub_token")


def builtin_model_names() -> tuple[str, ...]:
    """The references of the models that come with Driftgate."""
    return _model_names_in(BUILTIN_FOLDER)


@lru_cache(maxsize=1)
def _model_names_in(folder: Path) -> tuple[str, ...]:
    return tuple(
        f"{BUILTIN_PREFIX}{path.name}"
        for path in sorted(folder.iterdir())
        if (path / "config.json").is_file()
    )


def _local_folder(model: ModelSpec, *, settings: Settings, field: str) -> Path | None:
    """The checked path of a built-in or local model, None where only a hub id can be meant."""
    reference = model.model
    gguf_file = None
    if reference.startswith(BUILTIN_PREFIX):
        folder = _builtin_folder(reference, field=field)
    else:
        folder = _path_below(settings.resolved_model_root(), reference, field=field)
        if reference.endswith(GGUF_SUFFIX) and os.path.isfile(folder):  # noqa: PTH113 as below
            gguf_file = _named_file(settings.resolved_model_root(), reference, field=field)
            folder = gguf_file.parent
        elif not os.path.isdir(folder):  # noqa: PTH112 Path.is_dir raises for names too long
            if HUB_ID.fullmatch(reference):
                return None
            raise DriftgateError(
                ErrorCode.MODEL_NOT_FOUND,
                f"There is no model folder {reference!r} below the model root, and it is no hub id "
                f"(org/name) either. Put the folder there, or use a built-in model "
                f"({', '.join(builtin_model_names())}).",
                [
                    Violation(
                        f"{field}.model",
                        reference,
                        "a folder below the model root, org/name, or builtin/NAME",
                    )
                ],
            )
        if gguf_file is None:
            _check_no_link_leaves(settings.resolved_model_root(), folder, reference, field=field)
            gguf_file = _only_gguf_file(folder, reference=reference, field=field)
    if model.revision is not None:
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"{field}.revision is {model.revision!r}, but {reference!r} is a local folder, which "
            "has no revisions. Leave revision out.",
            [Violation(f"{field}.revision", model.revision, "unset, unless the model is a hub id")],
        )
    if gguf_file is not None:
        return gguf_file  # what it holds is in its header, which is read for the model's facts
    _check_weights(folder, folder_signature(folder), reference=reference, field=field)
    return folder


def _named_file(root: Path, reference: str, *, field: str) -> Path:
    """The file under the name that was given, which says what it is: what a link leads to may not."""
    folder = _path_below(root, str(Path(reference).parent), field=field)
    return folder / Path(reference).name


def _only_gguf_file(folder: Path, *, reference: str, field: str) -> Path | None:
    """The folder's weights where they are one GGUF file; None where they are not GGUF.

    Raises MODEL_INVALID for several: versions of a model, or parts of one, which are not read.
    """
    if (folder / WEIGHTS_FILE).exists() or (folder / WEIGHTS_INDEX_FILE).exists():
        return None
    files = sorted(path for path in folder.iterdir() if path.suffix == GGUF_SUFFIX)
    if len(files) > 1:
        named = ", ".join(path.name[:80] for path in files[:MAX_FILES_NAMED])
        raise invalid_model(
            reference,
            f"it has {len(files)} GGUF files ({named}); name the one that is meant, as "
            f"{reference.rstrip('/')[:200]}/FILE.gguf, and merge a model that is split into parts",
            field=field,
        )
    return files[0] if files else None


@lru_cache(maxsize=256)
def _check_weights(
    folder: Path, _signature: FolderSignature, *, reference: str, field: str
) -> None:
    check_weights(folder, reference=reference, field=field)


@lru_cache(maxsize=64)
def _builtin_folder(reference: str, *, field: str) -> Path:
    known = builtin_model_names()
    if reference not in known:
        raise DriftgateError(
            ErrorCode.MODEL_NOT_FOUND,
            f"{reference!r} is no built-in model. There are: {', '.join(known) or 'none'}.",
            [Violation(f"{field}.model", reference, ", ".join(known))],
        )
    return BUILTIN_FOLDER / reference.removeprefix(BUILTIN_PREFIX)


def _path_below(root: Path, reference: str, *, field: str) -> Path:
    """The path with links and `..` resolved. Says nothing about what exists outside the root."""
    path = Path(os.path.realpath(root / reference))
    if not path.is_relative_to(root):
        raise _outside_root(reference, f"{reference!r} leads out of the model root", field=field)
    return path


def _check_no_link_leaves(root: Path, folder: Path, reference: str, *, field: str) -> None:
    for path in folder.iterdir():
        if not Path(os.path.realpath(path)).is_relative_to(root):
            raise _outside_root(
                reference, f"{path.name} in {reference!r} links out of the model root", field=field
            )


def _outside_root(reference: str, reason: str, *, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.MODEL_OUTSIDE_ROOT,
        f"{reason}, and models of {field} are read only below it (DRIFTGATE_MODEL_ROOT).",
        [Violation(f"{field}.model", reference, "a folder below the model root")],
    )


def _check_hub_id(model: ModelSpec, *, settings: Settings, field: str) -> None:
    if not any(fnmatchcase(model.model, pattern) for pattern in settings.hub_allow):
        allowed = ", ".join(settings.hub_allow) or "none"
        raise DriftgateError(
            ErrorCode.MODEL_NOT_ALLOWED,
            f"There is no folder {model.model!r} below the model root, and as a hub id it is not on "
            f"the allow list ({allowed}). Put a folder there, or have it added to "
            "DRIFTGATE_HUB_ALLOW.",
            [Violation(f"{field}.model", model.model, f"a hub id that matches {allowed}")],
        )
    revision = model.revision or "main"
    # The hub client makes a path of its cache from it.
    if ".." in revision or revision.startswith("/"):
        raise DriftgateError(
            ErrorCode.INVALID_SPEC,
            f"{field}.revision is {revision!r}, which is no branch, tag or commit.",
            [Violation(f"{field}.revision", revision, "a branch, tag or commit")],
        )
