"""The artifact stores of a deployment: the one that is written to, and those that it wrote to before."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from service.artifacts.local_folder import LocalFolder
from service.artifacts.store import ArtifactStore
from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.allowed_text import allowed_text
from service.jobs.export_spec import ObjectStoreDestination, StoreCredentials
from service.jobs.spec_fields import SecretRef
from service.secret_values import secret_value
from service.settings import Settings

CLOUD_SCHEMES = ("s3", "gs", "az", "abfs")
ALLOWED = (
    "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az:// or abfs://CONTAINER/PREFIX, file:///FOLDER, or another URL "
    "that fsspec opens, without a password"
)


@dataclass(frozen=True, slots=True)
class ArtifactStores:
    """What was written before the settings named another store stays where it is, and is found there."""

    written: ArtifactStore
    earlier: tuple[ArtifactStore, ...] = ()

    @property
    def all(self) -> tuple[ArtifactStore, ...]:
        return (self.written, *self.earlier)

    def holding(self, uri: str) -> tuple[ArtifactStore, str] | None:
        """The store that the place belongs to, and its key there; whether it is there was not looked at."""
        for store in self.all:
            key = store.key_of(uri)
            if key is not None:
                return store, key
        return None


@lru_cache(maxsize=8)
def open_artifacts(settings: Settings) -> ArtifactStores:
    """Nothing is connected to yet. Raises INVALID_ARGUMENT and SECRET_NOT_FOUND for wrong settings."""
    folder = LocalFolder(settings.resolved_artifact_root())
    url = settings.artifact_url
    if url is None:
        return ArtifactStores(folder)
    parts = urlsplit(url)
    if parts.password is not None or parts.query or not parts.scheme:
        raise _refusal(settings, "it is no such URL")
    if parts.scheme == "file":
        store = LocalFolder(Path(unquote(parts.path)).resolve())
        return ArtifactStores(store, (folder,) if store != folder else ())
    return ArtifactStores(_remote_folder(url, parts.scheme, settings), (folder,))


def _remote_folder(url: str, scheme: str, settings: Settings) -> ArtifactStore:
    # Here and not above: a worker's child starts sooner without, and a client's installation has neither.
    import fsspec  # noqa: PLC0415

    from service.artifacts.remote_folder import ERRORS, RemoteFolder  # noqa: PLC0415

    if scheme in CLOUD_SCHEMES:
        return _cloud_folder(url, settings)
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except (*ERRORS, ImportError) as error:
        raise _refusal(settings, str(error)) from error
    return RemoteFolder(filesystem, root=root, url=url)


def _cloud_folder(url: str, settings: Settings) -> ArtifactStore:
    from service.artifacts.cloud_clients import cloud_client  # noqa: PLC0415
    from service.artifacts.cloud_filesystem import cloud_filesystem  # noqa: PLC0415
    from service.artifacts.remote_folder import RemoteFolder  # noqa: PLC0415

    try:
        names = dict(each.split("=", 1) for each in settings.artifact_credentials)
        destination = ObjectStoreDestination(
            url=url,
            endpoint=settings.artifact_endpoint,
            region=settings.artifact_region,
            credentials=StoreCredentials.model_validate(
                {field: SecretRef(secret=name) for field, name in names.items()}
            )
            if names
            else None,
        )
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))} (allowed: {allowed_text(each)})"
            for each in error.errors()
        )
        # Not chained: its text may show what was given.
        raise _refusal(settings, wrong) from None
    except ValueError as error:
        raise _refusal(settings, "DRIFTGATE_ARTIFACT_CREDENTIALS is not FIELD=NAME,…") from error
    secrets = {
        field: secret_value(
            SecretRef(secret=name), settings=settings, field=f"artifact_credentials.{field}"
        ).get_secret_value()
        for field, name in names.items()
    }
    try:
        client = cloud_client(destination, secrets)
    except ValueError:
        # Without the cause, which may show what was to be decoded.
        raise _refusal(settings, "a secret of artifact_credentials is no base64") from None
    filesystem = cloud_filesystem(destination.scheme, client)
    root = f"{destination.bucket}/{destination.prefix}"
    return RemoteFolder(filesystem, root=root, url=url, secrets=tuple(secrets.values()))


def _refusal(settings: Settings, reason: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.INVALID_ARGUMENT,
        f"DRIFTGATE_ARTIFACT_URL {settings.artifact_url!r} cannot be used: {reason}. Allowed: {ALLOWED}.",
        [Violation("artifact_url", str(settings.artifact_url), ALLOWED)],
    )
