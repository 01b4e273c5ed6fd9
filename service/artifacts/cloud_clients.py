"""How clients of object stores are set up: what the artifact store and exports have in common."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError

from service.jobs.export_spec import ObjectStoreDestination

if TYPE_CHECKING:  # names that are there for type checkers only
    from obstore.store import ClientConfig, RetryConfig

# The client tries again by itself within one of our tries.
CLIENT_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
PART_BYTES = 16 * 2**20
MAX_PARTS = 9_000  # of one upload; S3 takes 10,000
PARTS_AT_ONCE = 4
DEFAULT_REGION = "us-east-1"
ERRORS = (BaseError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class CloudClient:
    """`config` has what obstore's stores of the URL's scheme take; it may hold secrets."""

    config: dict[str, Any]
    options: "ClientConfig"


def cloud_client(destination: ObjectStoreDestination, secrets: Mapping[str, str]) -> CloudClient:
    """secrets: values by the name of their field in `credentials`. Raises ValueError for no base64."""
    match destination.scheme:
        case "s3":
            return _amazon_client(destination, secrets)
        case "gs":
            # A secret is one line without spaces, which the JSON of a key is not.
            values = {
                name: b64decode(value, validate=True).decode() for name, value in secrets.items()
            }
            return CloudClient(values, {})
        case _:
            config = {
                ("sas_key" if name == "sas_token" else name): value
                for name, value in secrets.items()
            }
            if destination.account is not None:
                config["account_name"] = destination.account
            return CloudClient(config, {})


def part_bytes(size_bytes: int) -> int:
    """Of an upload in parts, which are not more than a store takes."""
    return max(PART_BYTES, -(-size_bytes // MAX_PARTS))


def _amazon_client(destination: ObjectStoreDestination, secrets: Mapping[str, str]) -> CloudClient:
    config = {"region": destination.region or DEFAULT_REGION, **secrets}
    if destination.endpoint is None:
        # Amazon proves each part by its checksum; not every other server knows them.
        return CloudClient({**config, "checksum_algorithm": "SHA256"}, {})
    return CloudClient(
        {**config, "endpoint": destination.endpoint},
        {"allow_http": destination.endpoint.startswith("http://")},
    )
