"""An export to an object store: each file an object, the manifest the last."""

from base64 import b64decode
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

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

from service.errors import DriftgateError, ErrorCode
from service.jobs.checkpoint_manifest import MANIFEST_FILE
from service.jobs.export_spec import ObjectStoreDestination
from worker.exports.failures import export_failed
from worker.exports.source import ExportSource
from worker.exports.tries import Tries

if TYPE_CHECKING:  # names that are there for type checkers only
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig, S3Config

# The store's client tries again by itself within one of our tries.
CLIENT_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
PART_BYTES = 16 * 2**20
MAX_PARTS = 9_000  # of one upload; S3 takes 10,000
PARTS_AT_ONCE = 4
DEFAULT_REGION = "us-east-1"
PERMANENT = (
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
ERRORS = (BaseError, OSError, ValueError)


def open_store(destination: ObjectStoreDestination, *, secrets: Mapping[str, str]) -> ObjectStore:
    """A store whose paths begin at the destination's prefix. Nothing is connected to yet.

    secrets: values by the name of their field in `credentials`. Raises EXPORT_FAILED.
    """
    try:
        match destination.scheme:
            case "s3":
                return _s3_store(destination, secrets)
            case "gs":
                return _google_store(destination, secrets)
            case _:
                return _azure_store(destination, secrets)
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


def _s3_store(destination: ObjectStoreDestination, secrets: Mapping[str, str]) -> S3Store:
    config = {"region": destination.region or DEFAULT_REGION, **secrets}
    client_options: ClientConfig = {}
    if destination.endpoint is None:
        # Amazon proves each part by its checksum; not every other server knows them.
        config["checksum_algorithm"] = "SHA256"
    else:
        config["endpoint"] = destination.endpoint
        client_options["allow_http"] = destination.endpoint.startswith("http://")
    return S3Store(
        destination.bucket,
        prefix=destination.prefix,
        config=cast("S3Config", config),
        client_options=client_options,
        retry_config=CLIENT_RETRY,
    )


def _google_store(destination: ObjectStoreDestination, secrets: Mapping[str, str]) -> GCSStore:
    # A secret is one line without spaces, which the JSON of a key is not.
    config = {name: b64decode(value, validate=True).decode() for name, value in secrets.items()}
    return GCSStore(
        destination.bucket,
        prefix=destination.prefix,
        config=cast("GCSConfig", config),
        retry_config=CLIENT_RETRY,
    )


def _azure_store(destination: ObjectStoreDestination, secrets: Mapping[str, str]) -> AzureStore:
    config = {
        ("sas_key" if name == "sas_token" else name): value for name, value in secrets.items()
    }
    if destination.account is not None:
        config["account_name"] = destination.account
    return AzureStore(
        destination.bucket,
        prefix=destination.prefix,
        config=cast("AzureConfig", config),
        retry_config=CLIENT_RETRY,
    )


def _put_file(source: ExportSource, store: ObjectStore, name: str) -> None:
    size_bytes = source.manifest.files[name].size_bytes
    chunks = source.chunks(name)
    if size_bytes <= PART_BYTES:
        obstore.put(store, name, b"".join(chunks), use_multipart=False)
        return
    part_bytes = max(PART_BYTES, -(-size_bytes // MAX_PARTS))
    # An error of `chunks` comes through, and nothing is stored.
    obstore.put(store, name, chunks, chunk_size=part_bytes, max_concurrency=PARTS_AT_ONCE)


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
