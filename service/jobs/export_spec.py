"""Where an export takes a checkpoint: a folder of the workers, an object store, or the model hub."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StringConstraints, model_validator

from service.jobs.spec_fields import MAX_LABELS, Labels, Name, Priority, SecretRef, SpecPart
from service.jobs.text_patterns import (
    EXPORT_PATH,
    HUB_BRANCH,
    HUB_REPOSITORY,
    STORE_ACCOUNT,
    STORE_ENDPOINT,
    STORE_REGION,
    STORE_URL,
)

FolderPath = Annotated[str, StringConstraints(max_length=512, pattern=EXPORT_PATH)]

StoreUrl = Annotated[
    str,
    StringConstraints(
        max_length=1024,
        pattern=STORE_URL,
    ),
]

HubRepository = Annotated[
    str,
    StringConstraints(
        max_length=200,
        pattern=HUB_REPOSITORY,
    ),
]

CREDENTIALS_OF_SCHEME = {
    "s3": ("access_key_id", "secret_access_key", "session_token"),
    "gs": ("service_account_key",),
    "az": ("account_key", "sas_token"),
    "abfs": ("account_key", "sas_token"),
}
PLACE_FIELDS_OF_SCHEME = {
    "s3": ("endpoint", "region"),
    "gs": (),
    "az": ("account_name",),
    "abfs": ("account_name",),
}


class FolderDestination(SpecPart):
    """A folder that the workers see, such as a mounted share."""

    type: Literal["folder"] = "folder"
    path: FolderPath = Field(
        description="Below the export root; not there yet, or empty. No part begins with a dot."
    )


class StoreCredentials(SpecPart):
    """By name only; the worker has the values."""

    access_key_id: SecretRef | None = Field(default=None, description="Of s3.")
    secret_access_key: SecretRef | None = Field(default=None, description="Of s3.")
    session_token: SecretRef | None = Field(default=None, description="Of s3.")
    service_account_key: SecretRef | None = Field(
        default=None, description="Of gs: the JSON text of a service account's key, in base64."
    )
    account_key: SecretRef | None = Field(default=None, description="Of az and abfs.")
    sas_token: SecretRef | None = Field(default=None, description="Of az and abfs.")

    def names(self) -> tuple[str, ...]:
        """The fields that are set."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


class ObjectStoreDestination(SpecPart):
    """A prefix in an object store; the objects there get the names of the checkpoint's files."""

    type: Literal["object_store"] = "object_store"
    url: StoreUrl = Field(
        description="`s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, "
        "`abfs://CONTAINER/PREFIX` or `abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX`."
    )
    endpoint: (
        Annotated[
            str,
            StringConstraints(max_length=300, pattern=STORE_ENDPOINT),
        ]
        | None
    ) = Field(
        default=None,
        description="Of a server that speaks S3, as the service's settings list it; Amazon's when null.",
    )
    region: Annotated[str, StringConstraints(pattern=STORE_REGION)] | None = Field(
        default=None, description="Of s3; `us-east-1` when null."
    )
    account_name: Annotated[str, StringConstraints(pattern=STORE_ACCOUNT)] | None = Field(
        default=None, description="Of az and abfs, where the URL does not name it."
    )
    credentials: StoreCredentials | None = Field(
        default=None, description="null: those that the worker has of itself, such as its role."
    )

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def bucket(self) -> str:
        """Or container, without the account."""
        return self._authority.partition("@")[0]

    @property
    def account(self) -> str | None:
        """Of Azure."""
        named = self._authority.partition("@")[2].partition(".")[0]
        return named or self.account_name

    @property
    def prefix(self) -> str:
        """Without a slash at either end."""
        return self.url.partition("://")[2].partition("/")[2].rstrip("/")

    @property
    def _authority(self) -> str:
        return self.url.partition("://")[2].partition("/")[0]

    @model_validator(mode="after")
    def _check_fields_of_scheme(self) -> "ObjectStoreDestination":
        if "@" in self._authority and self.scheme != "abfs":
            raise ValueError(f"url is {self.url}, but only abfs:// names an account before an @")
        if "@" in self._authority and self.account_name is not None:
            raise ValueError(f"account_name is {self.account_name}, but url names the account")
        places = PLACE_FIELDS_OF_SCHEME[self.scheme]
        for name in ("endpoint", "region", "account_name"):
            if getattr(self, name) is not None and name not in places:
                raise ValueError(f"{name} is {getattr(self, name)}, but {self.scheme}:// has none")
        allowed = CREDENTIALS_OF_SCHEME[self.scheme]
        for name in self.credentials.names() if self.credentials else ():
            if name not in allowed:
                raise ValueError(
                    f"credentials.{name} is set, but {self.scheme}:// takes {', '.join(allowed)}"
                )
        return self

    @model_validator(mode="after")
    def _check_key_pair(self) -> "ObjectStoreDestination":
        given = self.credentials.names() if self.credentials else ()
        for name, other in (
            ("access_key_id", "secret_access_key"),
            ("secret_access_key", "access_key_id"),
            ("session_token", "access_key_id"),
        ):
            if name in given and other not in given:
                raise ValueError(f"credentials.{other} is null, but {name} needs it")
        return self


class HubDestination(SpecPart):
    """A model repository of the hub, which is made if it is not there; one commit, with a model card."""

    type: Literal["hub"] = "hub"
    repo_id: HubRepository = Field(description="On the service's list of allowed repositories.")
    revision: str = Field(
        default="main",
        max_length=100,
        pattern=HUB_BRANCH,
        description="Branch, which is made if it is not there.",
    )
    private: StrictBool = Field(
        default=True, description="A public repository is refused where this is true."
    )
    token: SecretRef = Field(description="Names a token that may write; the worker has it.")


ExportDestination = Annotated[
    FolderDestination | ObjectStoreDestination | HubDestination, Field(discriminator="type")
]


class ExportRequest(SpecPart):
    """An export without its checkpoint, which the address names."""

    destination: ExportDestination
    name: Name | None = None
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    priority: Priority = 0
