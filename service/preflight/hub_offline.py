"""Without a network: what of a model the hub's cache on this machine lacks."""

import json
from pathlib import Path

import huggingface_hub

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.spec_fields import ModelSpec
from service.preflight.hub_downloads import cache_folder
from service.preflight.model_files import WEIGHTS_FILE, WEIGHTS_INDEX_FILE
from service.settings import Settings

NEEDED_FILES = ("config.json", "tokenizer.json")
MAX_FILES_NAMED = 10


def is_offline(settings: Settings) -> bool:
    """By our setting or by that of the hub's own library."""
    return settings.hub_offline or huggingface_hub.constants.is_offline_mode()


def not_whole_offline(
    model: ModelSpec, folder: Path | None, *, settings: Settings, field: str
) -> DriftgateError:
    """HUB_UNAVAILABLE with the names of what is missing. folder: the model's in the cache, where it has one."""
    lacking = ["all of its files"] if folder is None else _missing_files(folder)
    return DriftgateError(
        ErrorCode.HUB_UNAVAILABLE,
        f"Model {model.model!r} of {field} (revision {model.revision or 'main'}) is not whole in "
        f"{cache_folder(settings.hub_cache_dir)}: it lacks {', '.join(lacking)}, and the hub is not asked, "
        "because DRIFTGATE_HUB_OFFLINE or HF_HUB_OFFLINE is set. Fetch the model once with a network, copy "
        "that cache here, or put a folder of that name below the model root.",
        [Violation(f"{field}.model", model.model, "a model that is whole on this machine")],
    )


def _missing_files(folder: Path) -> list[str]:
    """Of those that loading needs; the parts of weights that are split are named by their index."""
    weights = [WEIGHTS_FILE]
    index = folder / WEIGHTS_INDEX_FILE
    if index.exists():
        try:
            weight_map = json.loads(index.read_text())["weight_map"]
            weights = sorted({str(name) for name in weight_map.values()})
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            weights = [f"the parts that {WEIGHTS_INDEX_FILE} should name"]
    names = [*NEEDED_FILES, *weights]
    return [name for name in names if not (folder / name).exists()][:MAX_FILES_NAMED]
