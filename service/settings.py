"""Settings of a deployment; the only reader of the environment (prefix `DRIFTGATE_`)."""

import hashlib
import os
import tempfile
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, StringConstraints, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import DriftgateError, ErrorCode, Violation

# sun_path holds 108 bytes, the last of them zero.
MAX_SOCKET_PATH_BYTES = 107
SECRET_PREFIX = "DRIFTGATE_SECRET_"

QueueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_\-]{1,63}$")]


class Settings(BaseSettings):
    """Every field is an environment variable, `DRIFTGATE_` and the field's name in capitals.

    Unset addresses mean the embedded pair: SQLite below `data_dir` and the broker of `driftgate up`.
    """

    model_config = SettingsConfigDict(env_prefix="DRIFTGATE_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("var"), description="Everything that Driftgate writes.")
    database_url: str | None = Field(default=None, description="SQLAlchemy URL.")
    broker_url: str | None = Field(default=None, description="redis://… of the Celery broker.")
    model_root: Path | None = Field(default=None, description="Local models live below this.")
    dataset_root: Path | None = Field(default=None, description="Local JSONL files live below.")
    benchmarks_dir: Path | None = Field(
        default=None,
        description="Folder of published problem sets, NAME.jsonl; the hub where unset or a file is "
        "missing there.",
    )
    artifact_root: Path | None = Field(
        default=None,
        description="Checkpoints and uploads go below this, or while they are made where artifact_url is set.",
    )
    artifact_url: str | None = Field(
        default=None,
        description="Where checkpoints and uploads go in place of artifact_root: s3://, gs://, az:// or "
        "abfs://BUCKET/PREFIX, file:///FOLDER, or another URL that fsspec opens.",
    )
    artifact_endpoint: str | None = Field(
        default=None, description="Of a server that speaks S3; Amazon's when unset."
    )
    artifact_region: str | None = Field(default=None, description="Of s3.")
    artifact_credentials: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Secrets of the artifact store as FIELD=NAME, separated by commas, such as "
        "access_key_id=STORE_ID,secret_access_key=STORE_KEY; the process's own role when unset.",
    )
    artifact_patience_s: float = Field(
        default=600.0,
        ge=0,
        description="How long an attempt waits for an artifact store that is full or away, before the job is "
        "queued again.",
    )
    dataset_cache_bytes: int = Field(
        default=2 * 2**30,
        ge=0,
        description="Of the local copies of uploaded problem sets, where artifact_url is set.",
    )
    hub_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("Qwen/*", "HuggingFaceTB/*", "meta-llama/*"),
        description="Hub ids that jobs may name, as shell patterns, separated by commas.",
    )
    hub_endpoint: str | None = Field(
        default=None, description="URL of a mirror of the hub; the hub itself when unset."
    )
    hub_cache_dir: Path | None = Field(
        default=None, description="Where hub models are kept; the hub library's own when unset."
    )
    hub_offline: bool = Field(
        default=False,
        description="Take models and problem sets from the hub's cache only; so does HF_HUB_OFFLINE.",
    )

    url: str = Field(
        default="http://127.0.0.1:8400",
        description="Where the client commands find the service; read by nothing else.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="The key that the client commands send."
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8400, ge=0, le=65_535)
    grpc_host: str = "127.0.0.1"
    grpc_port: int = Field(default=8401, ge=0, le=65_535)
    api_key_sha256: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="SHA-256, in hex, of each accepted API key, separated by commas. Any bind that is not "
        "loopback needs one here, or one made with `driftgate keys create`.",
    )
    max_body_bytes: int = Field(default=8 * 2**20, ge=1024)
    max_dataset_bytes: int = Field(
        default=256 * 2**20, ge=1024, description="Of one uploaded problem set."
    )
    max_queued_jobs_per_key: int = Field(
        default=1000, ge=1, description="Of a key that has no limit of its own; so the next two."
    )
    max_requests_per_minute_per_key: int = Field(default=6000, ge=1)
    max_streams_per_key: int = Field(default=100, ge=1)
    max_streams: int = Field(default=2000, ge=1, description="Open streams of one process.")
    change_poll_s: float = Field(
        default=0.25, gt=0, description="How often a process with open streams looks for changes."
    )
    stream_heartbeat_s: float = Field(
        default=15.0, gt=0, description="Between two comments of a stream that has nothing to say."
    )
    secrets_dir: Path | None = Field(
        default=None,
        description="Folder on the worker with one file a secret, named as jobs refer to it; next to "
        "it the environment is asked for DRIFTGATE_SECRET_NAME.",
    )
    export_root: Path | None = Field(
        default=None, description="Folder on the worker that exports to a folder go below."
    )
    export_url_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("s3://*", "gs://*", "az://*", "abfs://*"),
        description="Object-store URLs that exports may name, as shell patterns, separated by commas.",
    )
    export_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses of servers that speak S3, such as https://minio.example:9000, that "
        "exports may name, separated by commas; without them exports to s3:// go to Amazon only.",
    )
    export_hub_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*/*",),
        description="Hub repositories that exports may write, as shell patterns, separated by commas.",
    )
    teacher_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses of vLLM servers, such as https://teacher.example:8000, that jobs may name as "
        "teachers, separated by commas; none when unset. http:// is taken where it stands here.",
    )
    teacher_patience_s: float = Field(
        default=600.0,
        ge=0,
        description="How long an attempt waits for a teacher's server that is away, before the job is queued "
        "again.",
    )
    webhook_allow_private: bool = Field(
        default=False,
        description="Let webhooks go to private addresses, such as localhost in tests.",
    )

    queue: QueueName = "default"
    queues: Annotated[tuple[QueueName, ...], NoDecode] = Field(
        default=(),
        description="Queues that a worker takes jobs from, separated by commas; `queue`, which jobs are "
        "submitted to, when unset.",
    )
    worker_device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="What a worker computes on; `auto` looks for an NVIDIA driver."
    )
    worker_memory_bytes: int | None = Field(
        default=None,
        ge=1,
        le=2**62,
        description="Of each of the worker's devices, for one job; asked of the system when unset.",
    )
    worker_devices: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="How many devices the worker has for jobs: the first so many GPUs, or all when unset. On a worker "
        "without a GPU they are processes on its CPU, one when unset; more are of use in tests only.",
    )
    worker_aside_s: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="How long a worker claims nothing after two different jobs died on it in a row; twice as "
        "long each further time, until a job succeeds there.",
    )
    worker_slots: int = Field(
        default=1, ge=1, le=64, description="Jobs that a worker runs at once."
    )
    threads_per_job: int = Field(default=1, ge=1, le=256, description="CPU threads of a job.")
    nursery: bool = Field(
        default=True,
        description="Keep a process that has imported torch, from which the worker's children are forked: jobs "
        "start seconds earlier, for some 400 MB of memory.",
    )
    device_flops: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="FLOP/s that jobs reach on the workers' device, for the time estimate of a plan; "
        "measured on finished jobs of the same models when unset.",
    )
    lease_s: float = Field(default=90.0, gt=0)
    heartbeat_s: float = Field(default=10.0, gt=0)
    poll_interval_s: float = Field(
        default=5.0, gt=0, description="How often an idle worker looks for work without a message."
    )
    reconcile_interval_s: float = Field(default=5.0, gt=0)
    health_file: Path | None = Field(
        default=None,
        description="What a worker or a reconciler touches at every turn of its loop, a file for each "
        "process, for `driftgate healthcheck`.",
    )
    audit_interval_s: float = Field(
        default=3600.0, gt=0, description="How often the reconciler looks for rows that contradict."
    )
    stuck_after_s: float | None = Field(
        default=None,
        gt=0,
        description="A running job that has not moved for so long gets an event; never when unset.",
    )
    max_attempts_without_progress: int = Field(default=3, ge=1)
    stop_grace_s: float = Field(
        default=20.0, gt=0, description="From asking a child to checkpoint and stop to killing it."
    )

    @field_validator(
        "hub_allow",
        "api_key_sha256",
        "export_url_allow",
        "export_endpoints",
        "export_hub_allow",
        "artifact_credentials",
        "teacher_endpoints",
        "queues",
        mode="before",
    )
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'driftgate.db'}"

    def resolved_broker_url(self) -> str:
        """The embedded broker's private socket unless a URL is set."""
        socket_path = quote(str(self.broker_socket_path()))
        return self.broker_url or f"redis+socket://{socket_path}?virtual_host=0"

    def broker_socket_path(self) -> Path:
        """Below the data folder, or where that is too long for a socket's address, a private folder.

        The same in every process of one user with one data folder.
        """
        path = self.data_dir.resolve() / "broker" / "broker.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"driftgate-{os.getuid()}-{digest}" / "broker.sock"

    def resolved_model_root(self) -> Path:
        return (self.model_root or self.data_dir / "models").resolve()

    def resolved_dataset_root(self) -> Path:
        return (self.dataset_root or self.data_dir / "datasets").resolve()

    def resolved_artifact_root(self) -> Path:
        return (self.artifact_root or self.data_dir / "artifacts").resolve()

    def resolved_export_root(self) -> Path:
        return (self.export_root or self.data_dir / "exports").resolve()

    def resolved_queues(self) -> tuple[str, ...]:
        """What a worker takes jobs from."""
        return self.queues or (self.queue,)

    def uploads_folder(self) -> Path:
        """Uploaded problem sets, or where artifact_url is set, those that are still arriving."""
        return self.resolved_artifact_root() / "datasets"

    def dataset_cache_folder(self) -> Path:
        """Copies of uploaded problem sets that are kept elsewhere."""
        return self.data_dir.resolve() / "cache" / "datasets"

    def converted_models_folder(self) -> Path:
        """Safetensors of the GGUF files that jobs have named, each made once by the worker."""
        return self.data_dir.resolve() / "cache" / "converted-models"


def secret_of_environment(name: str) -> str | None:
    """The value of DRIFTGATE_SECRET_NAME, None where it is not set."""
    return os.environ.get(f"{SECRET_PREFIX}{name}")


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()


def check_bind(host: str, settings: Settings, *, has_stored_keys: bool = False) -> None:
    """Raises UNSAFE_BIND for an address that others can reach while there is no API key."""
    if settings.api_key_sha256 or has_stored_keys or is_loopback(host):
        return
    raise DriftgateError(
        ErrorCode.UNSAFE_BIND,
        f"Listening on {host!r} would let anyone who reaches this machine run jobs, because no API "
        "key is set. Make one with `driftgate keys create --name NAME --scope admin`, set "
        "DRIFTGATE_API_KEY_SHA256 to the SHA-256 of a key, or listen on 127.0.0.1.",
        [Violation("host", host, "a loopback address, unless there are API keys")],
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address; any other name than `localhost` is doubted."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
