"""An export to an object store: each file an object, the manifest the last."""

from collections.abc import Collection, Mapping
from functools import partial

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from service.artifacts.cloud_clients import (
    CLIENT_RETRY,
    ERRORS,
    PART_BYTES,
    PARTS_AT_ONCE,
    cloud_client,
    part_bytes,
)
from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import MANIFEST_FILE
from service.jobs.export_spec import ObjectStoreDestination
from worker.exports.failures import export_failed
from worker.exports.source import ExportSource
from worker.exports.tries import Tries

STORE_OF_SCHEME = {"s3": S3Store, "gs": GCSStore, "az": AzureStore, "abfs": AzureStore}
PERMANENT = (
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)


def open_store(destination: ObjectStoreDestination, *, secrets: Mapping[str, str]) -> ObjectStore:
    """A store whose paths begin at the destination's prefix. Nothing is connected to yet.

    secrets: values by the name of their field in `credentials`. Raises EXPORT_FAILED.
    """
    try:
        client = cloud_client(destination, secrets)
        return STORE_OF_SCHEME[destination.scheme](
            destination.bucket,
            prefix=destination.prefix,
            config=client.config,
            client_options=client.options,
            retry_config=CLIENT_RETRY,
        )
    except (BaseError, ValueError) as error:
        what = f"The store of {destination.url} cannot be used"
        raise export_failed(what, error, secrets=secrets.values()) from None


def copy_to_store(
    source: ExportSource, store: ObjectStore, *, url: str, secrets: Collection[str] = ()
) -> None:
    """An attempt that was cut leaves objects without a manifest; the next one replaces them.

    Raises EXPORT_FAILED, also where the prefix holds anything else: files of two models side by side load
    as neither. Raises CHECKPOINT_CORRUPT and StopRequestedError.
    """
    tried = Tries(ERRORS, _may_pass, source.stop, secrets)
    manifest = source.manifest.text()
    there = tried(
        f"{url} cannot be looked at", partial(_read_manifest, store, max_bytes=len(manifest))
    )
    if there is not None and there != manifest:
        raise _not_free(url, "another checkpoint")
    if there is None:
        other = tried(f"{url} cannot be listed", partial(_other_object, source, store))
        if other is not None:
            raise _not_free(url, f"an object {other[:200]!r}")
        for num_before, name in enumerate(source.manifest.files):
            tried(f"{url} did not take {name}", partial(_put_file, source, store, name))
            source.report_copied(num_before + 1)
    for name in source.manifest.files:
        size_bytes = tried(f"{url} does not show {name}", partial(_size, store, name))
        _check_size(source, name, size_bytes)
    tried(f"{url} did not take the manifest", lambda: obstore.put(store, MANIFEST_FILE, manifest))


def _put_file(source: ExportSource, store: ObjectStore, name: str) -> None:
    size_bytes = source.manifest.files[name].size_bytes
    chunks = source.chunks(name)
    if size_bytes <= PART_BYTES:
        obstore.put(store, name, b"".join(chunks), use_multipart=False)
        return
    # An error of `chunks` comes through, and nothing is stored.
    obstore.put(
        store, name, chunks, chunk_size=part_bytes(size_bytes), max_concurrency=PARTS_AT_ONCE
    )


def _check_size(source: ExportSource, name: str, size_bytes: int) -> None:
    expected = source.manifest.files[name].size_bytes
    if size_bytes != expected:
        raise DriftgateError(
            ErrorCode.EXPORT_FAILED,
            f"The store has {size_bytes:,} bytes of {name} in place of {expected:,}. Something else "
            "writes there; export to another prefix.",
        )


def _not_free(url: str, what: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.EXPORT_FAILED,
        f"{url} already holds {what}. Export to another prefix, or remove the objects there.",
    )


def _other_object(source: ExportSource, store: ObjectStore) -> str | None:
    """The name of an object that the export would not replace."""
    pages = obstore.list(store)
    names = (each["path"] for page in pages for each in page)
    return next((name for name in names if name not in source.manifest.files), None)


def _read_manifest(store: ObjectStore, *, max_bytes: int) -> bytes | None:
    """None where there is none; of a longer one, which must be another, nothing."""
    try:
        found = obstore.get(store, MANIFEST_FILE)
    except FileNotFoundError:
        return None
    return bytes(found.bytes()) if found.meta["size"] <= max_bytes else b""


def _size(store: ObjectStore, name: str) -> int:
    return obstore.head(store, name)["size"]


def _may_pass(error: Exception) -> bool:
    return isinstance(error, BaseError) and not isinstance(error, PERMANENT)
