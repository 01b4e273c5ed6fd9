"""The schema: what is written where, and how times are kept."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which knows no time zones, keeps the bare UTC fields."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "a time without a zone is not a point in time"
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 read once by SQLAlchemy, on class creation
        datetime: UtcDateTime(),
        int: BigInteger(),
    }


class JobRow(Table):
    """One job. The row is the truth about its state; every change of it grows `version`.

    model: the student, or the model that is evaluated. labels: as patched last; the spec keeps those it came
    with. change_seq: see `service.storage.change_feed`. needs_memory_bytes: of the device, at the least; null where
    unknown. waits_because: why no live worker can take it, as its reader was told. deadline_at: of the attempt that
    holds it, null where it may run for ever. needs_device: see `service.jobs.capabilities.device_need`.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(  # the order of claims; the last column spares a look at jobs that are too large
            "ix_jobs_claim_order",
            *("queue", "state", "needs_device", "priority", "api_key_id", "created_at"),
            "needs_memory_bytes",
        ),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "state", "created_at", "id"),
        Index(None, "kind", "created_at", "id"),
        Index(None, "state", "lease_expires_at"),
        Index(None, "change_seq", "id"),
        Index(None, "model", "created_at"),
        Index(None, "teacher_model", "created_at"),
        Index(None, "api_key_id", "state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(String(512))
    teacher_model: Mapped[str | None] = mapped_column(String(512))
    labels: Mapped[Any] = mapped_column(JSON)
    priority: Mapped[int]
    api_key_id: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    phase: Mapped[str | None] = mapped_column(String(32))
    queue: Mapped[str] = mapped_column(String(63))
    needs_device: Mapped[str] = mapped_column(String(16))
    needs_memory_bytes: Mapped[int | None]
    waits_because: Mapped[str | None] = mapped_column(Text)
    spec: Mapped[Any] = mapped_column(JSON)
    spec_version: Mapped[int]
    warnings: Mapped[Any] = mapped_column(JSON)
    version: Mapped[int]
    change_seq: Mapped[int]
    last_event_seq: Mapped[int]
    step: Mapped[int]
    update_index: Mapped[int]
    evaluated_samples: Mapped[int]
    samples_to_evaluate: Mapped[int]
    lease_epoch: Mapped[int]
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    attempts_without_progress: Mapped[int]
    cancel_requested_at: Mapped[datetime | None]
    failure: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEventRow(Table):
    """One entry of a job's history; `seq` is the job's own counter, so it has no gaps."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    type: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int]
    message: Mapped[str] = mapped_column(Text)


class AttemptRow(Table):
    """One claim of a job by a worker: who, when, from which update it went on, how it ended.

    ending: an `AttemptEnding`; null while it runs, and where an earlier version ended it.
    """

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "owner", "ended_at"),)

    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime]
    resumed_from_update: Mapped[int | None]
    newest_checkpoint_update: Mapped[int | None]
    ended_at: Mapped[datetime | None]
    ending: Mapped[str | None] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(Text)


class WorkerRow(Table):
    """A process that claims jobs, what it has, and until when it is put aside.

    device: see `service.jobs.capabilities.device_need`. memory_bytes: of each device, null where unknown. aside_s: for
    how long it is put aside the first time.
    """

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(String(200), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    device: Mapped[str] = mapped_column(String(16))
    memory_bytes: Mapped[int | None]
    queues: Mapped[Any] = mapped_column(JSON)
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    aside_s: Mapped[float]
    num_times_aside: Mapped[int]
    aside_until: Mapped[datetime | None]
    aside_reason: Mapped[str | None] = mapped_column(Text)


class LeaderLeaseRow(Table):
    """Which process does what only one should do, and until when."""

    __tablename__ = "leader_lease"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime]


class JobLabelRow(Table):
    """The labels of the jobs once more, to find jobs by them."""

    __tablename__ = "job_labels"
    __table_args__ = (Index(None, "key", "value", "job_id"),)

    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))


class DeletedJobRow(Table):
    """A job that was deleted: its rows are gone, its folder is removed by the reconciler."""

    __tablename__ = "deleted_jobs"

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    change_seq: Mapped[int] = mapped_column(index=True)
    deleted_at: Mapped[datetime]
    folder_removed_at: Mapped[datetime | None]


class IdempotencyKeyRow(Table):
    """A client's key, the hash of the request it came with, and the job that the request made.

    caller: id of the API key that the request came with, empty without keys: two clients that think of
    the same key do not meet.
    """

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id"), index=True)
    created_at: Mapped[datetime]


class UpdateMetricsRow(Table):
    """Metrics of one optimiser update as one attempt computed them; see `result_store` on reads."""

    __tablename__ = "update_metrics"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    update_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int]
    at: Mapped[datetime | None]
    metric_values: Mapped[Any] = mapped_column(JSON)
    drift_by_block: Mapped[Any] = mapped_column(JSON)


class TokenDriftRow(Table):
    """Drift token by token of one update as one attempt computed it; `TokenDriftRecord` says what the bytes are."""

    __tablename__ = "token_drifts"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    update_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int]
    minibatch: Mapped[int]
    num_responses_left_out: Mapped[int]
    response_lengths: Mapped[bytes] = mapped_column(LargeBinary)
    drift_nats: Mapped[bytes] = mapped_column(LargeBinary)
    abs_losses: Mapped[bytes] = mapped_column(LargeBinary)
    newlines: Mapped[bytes] = mapped_column(LargeBinary)


class MetricChunkRow(Table):
    """One column of metrics over consecutive updates of one attempt, made from full runs of `update_metrics`.

    Curves of 100,000 updates are read from these; `service.storage.metric_chunks` knows their bytes.
    """

    __tablename__ = "metric_chunks"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    column: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_update: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    num_updates: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class EvaluationRow(Table):
    """One model on one benchmark; `update_index` is how far the student had been trained."""

    __tablename__ = "evaluations"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stage: Mapped[str] = mapped_column(String(16), primary_key=True)
    benchmark: Mapped[str] = mapped_column(String(64), primary_key=True)
    update_index: Mapped[int]
    problems_sha256: Mapped[str] = mapped_column(String(64))
    samples_per_problem: Mapped[int]
    k: Mapped[Any] = mapped_column(JSON)
    profile: Mapped[str] = mapped_column(String(32))
    temperature: Mapped[float]
    top_p: Mapped[float]
    top_k: Mapped[int | None]
    max_response_tokens: Mapped[int]
    sampling_sha256: Mapped[str] = mapped_column(String(64))
    grader: Mapped[str] = mapped_column(String(200))
    seed: Mapped[int]
    num_response_tokens: Mapped[int]
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class EvaluationProblemRow(Table):
    """n samples of one problem, c of them right; `position` is its place in the benchmark."""

    __tablename__ = "evaluation_problems"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "epoch", "stage", "benchmark"],
            [
                "evaluations.job_id",
                "evaluations.epoch",
                "evaluations.stage",
                "evaluations.benchmark",
            ],
            ondelete="CASCADE",
        ),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stage: Mapped[str] = mapped_column(String(16), primary_key=True)
    benchmark: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    problem_id: Mapped[str] = mapped_column(String(200))
    problem_sha256: Mapped[str] = mapped_column(String(64))
    n: Mapped[int]
    c: Mapped[int]
    num_no_answer: Mapped[int]
    num_truncated: Mapped[int]
    num_grader_timeouts: Mapped[int]
    num_loops: Mapped[int]


class EvaluationSampleRow(Table):
    """One response of an evaluation, written with its batch, before the evaluation's own row.

    `text` is compressed (zlib, UTF-8); null where the response is another job's.
    """

    __tablename__ = "evaluation_samples"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    stage: Mapped[str] = mapped_column(String(16), primary_key=True)
    benchmark: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sample_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    update_index: Mapped[int]
    problem_id: Mapped[str] = mapped_column(String(200))
    problem_sha256: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int]
    prompt_tokens: Mapped[int]
    response_tokens: Mapped[int]
    finish_reason: Mapped[str] = mapped_column(String(16))
    is_loop: Mapped[bool]
    verdict: Mapped[str] = mapped_column(String(16))
    layer: Mapped[str] = mapped_column(String(16))
    extracted: Mapped[str | None] = mapped_column(Text)
    answer_key: Mapped[str | None] = mapped_column(String(200))
    sampling_ms: Mapped[float]
    grading_ms: Mapped[float]
    text: Mapped[bytes | None] = mapped_column(LargeBinary)


class PromptOverlapRow(Table):
    """How many prompts to train on share 13 words in a row with a benchmark, as an attempt found it."""

    __tablename__ = "prompt_overlaps"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    benchmark: Mapped[str] = mapped_column(String(64), primary_key=True)
    num_prompts: Mapped[int]
    num_overlapping: Mapped[int]
    num_dropped: Mapped[int]
    examples: Mapped[Any] = mapped_column(JSON)


class ReverseKlRow(Table):
    """The student's distance to the teacher on one benchmark; nats are NULL where they are not finite."""

    __tablename__ = "reverse_kls"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stage: Mapped[str] = mapped_column(String(16), primary_key=True)
    benchmark: Mapped[str] = mapped_column(String(64), primary_key=True)
    update_index: Mapped[int]
    estimator: Mapped[str] = mapped_column(String(16))
    num_responses: Mapped[int]
    num_tokens: Mapped[int]
    mean_nats: Mapped[float | None]
    standard_error_nats: Mapped[float | None]
    problems_sha256: Mapped[str] = mapped_column(String(64))
    max_response_tokens: Mapped[int]
    seed: Mapped[int]
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class GradientFidelityRow(Table):
    """Gradients at one reuse depth of a batch; `update_index` is the batch's first update.

    weightings: [name, cosine, norm ratio] of each, null where a gradient is zero or not finite.
    """

    __tablename__ = "gradient_fidelities"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    update_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    depth: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int]
    num_tokens: Mapped[int]
    num_fresh_tokens: Mapped[int]
    reverse_kl_nats: Mapped[float | None]
    half_cosine: Mapped[float | None]
    weightings: Mapped[Any] = mapped_column(JSON)


class CheckpointRow(Table):
    """A complete checkpoint folder; this row is its commit point."""

    __tablename__ = "checkpoints"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "epoch"], ["attempts.job_id", "attempts.epoch"]),
    )

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    update_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int]
    uri: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int]
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    final: Mapped[bool]
    created_at: Mapped[datetime]


class ApiKeyRow(Table):
    """An API key by its hash; the key itself was shown once and is kept nowhere.

    A limit that is null is the setting's. caller_id: of the first key of a chain of rotations; jobs, limits
    and idempotency keys count under it.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    caller_id: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(200))
    key_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    key_start: Mapped[str] = mapped_column(String(16))
    scope: Mapped[str] = mapped_column(String(16))
    max_queued_jobs: Mapped[int | None]
    max_requests_per_minute: Mapped[int | None]
    max_streams: Mapped[int | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class DatasetRow(Table):
    """An uploaded problem set; its text is a file of the artifact store, named by the id."""

    __tablename__ = "datasets"
    __table_args__ = (Index(None, "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    num_problems: Mapped[int]
    num_answers: Mapped[int]
    size_bytes: Mapped[int]
    created_at: Mapped[datetime]


class WebhookRow(Table):
    """Where to tell of jobs. The signing secret is needed in the clear, and never shown again."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(String(200))
    event_types: Mapped[Any] = mapped_column(JSON)
    secret: Mapped[str] = mapped_column(String(100))
    earlier_secret: Mapped[str | None] = mapped_column(String(100))
    earlier_secret_until: Mapped[datetime | None]
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookDeliveryRow(Table):
    """One event of one job for one webhook: written with the event, sent until it is accepted or given up.

    job_id and event_seq are null for a trial.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "webhook_id", "state", "next_attempt_at"),
        Index(None, "webhook_id", "id"),
        Index(None, "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(
        String(32), ForeignKey("webhooks.id", ondelete="CASCADE")
    )
    job_id: Mapped[str | None] = mapped_column(String(32), index=True)
    event_seq: Mapped[int | None]
    event_type: Mapped[str] = mapped_column(String(32))
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    num_attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class WebhookAttemptRow(Table):
    """One try to deliver: the answer's status, or why there was none."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[str] = mapped_column(
        String(32), ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    http_status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    seconds: Mapped[float]


class StudyRow(Table):
    """Arms × seeds of one spec. Every change of it grows `version` and is the event of that seq.

    caller: as in `idempotency_keys`. max_queued_jobs: of the key that made it, null for any. arms_found: by arm, what
    submission found of its spec (warnings, needs_memory_bytes).
    """

    __tablename__ = "studies"
    __table_args__ = (
        UniqueConstraint("caller", "idempotency_key"),
        Index(None, "created_at", "id"),
        Index(None, "state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    caller: Mapped[str] = mapped_column(String(32))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_sha256: Mapped[str] = mapped_column(String(64))
    max_queued_jobs: Mapped[int | None]
    name: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(String(63))
    spec: Mapped[Any] = mapped_column(JSON)
    arms_found: Mapped[Any] = mapped_column(JSON)
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class StudyRunRow(Table):
    """One arm with one seed: submitted once, in the order of `position`.

    job_id: null until then; the job may be deleted, so nothing refers to it. outcome: the state in which it ended,
    null until the study has seen it. collapsed: null where that cannot be told.
    """

    __tablename__ = "study_runs"
    __table_args__ = (Index(None, "study_id", "position"), Index(None, "job_id", unique=True))

    study_id: Mapped[str] = mapped_column(String(32), ForeignKey("studies.id"), primary_key=True)
    arm: Mapped[str] = mapped_column(String(63), primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int]
    total_steps: Mapped[int]
    job_id: Mapped[str | None] = mapped_column(String(32))
    outcome: Mapped[str | None] = mapped_column(String(16))
    failure_code: Mapped[str | None] = mapped_column(String(32))
    collapsed: Mapped[bool | None]


class StudyEventRow(Table):
    """One entry of a study's history."""

    __tablename__ = "study_events"

    study_id: Mapped[str] = mapped_column(String(32), ForeignKey("studies.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    type: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)
