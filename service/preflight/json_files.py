"""JSON files of a model folder, read as untrusted input."""

import json
from pathlib import Path
from typing import Any

from service.errors import DriftgateError, ErrorCode, Violation

ALLOWED_FOLDER = (
    "config.json, tokenizer.json and model.safetensors, of an architecture known by name, "
    "or one GGUF file"
)


def invalid_model(reference: str, reason: str, *, field: str) -> DriftgateError:
    """MODEL_INVALID with what the folder should hold."""
    return DriftgateError(
        ErrorCode.MODEL_INVALID,
        f"Model {reference!r} of {field} cannot be used: {reason}.",
        [Violation(f"{field}.model", reference, ALLOWED_FOLDER)],
    )


def read_optional(path: Path, *, reference: str, field: str) -> dict[str, Any]:
    """The object of the file, empty where there is no such file. Raises as `read_json_object`."""
    return read_json_object(path, reference=reference, field=field) if path.exists() else {}


def read_json_object(path: Path, *, reference: str, field: str) -> dict[str, Any]:
    """The object of the file. Raises MODEL_INVALID where it is missing, unreadable or no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise invalid_model(reference, f"{path.name} {reason}", field=field) from error
    except (ValueError, RecursionError) as error:
        raise invalid_model(
            reference, f"{path.name} is not JSON in UTF-8 ({error})", field=field
        ) from error
    if not isinstance(content, dict):
        raise invalid_model(reference, f"{path.name} is not a JSON object", field=field)
    return content
