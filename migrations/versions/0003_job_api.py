"""What the job API finds jobs by, API keys, data sets, webhooks, and metrics in columns."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEW_JOB_INDEXES = (
    ("queue", "state", "priority", "created_at"),
    ("updated_at", "id"),
    ("state", "created_at", "id"),
    ("change_seq", "id"),
    ("model", "created_at"),
    ("teacher_model", "created_at"),
    ("api_key_id", "state"),
)


def upgrade() -> None:
    _widen_jobs()
    _scope_idempotency_keys()
    with op.batch_alter_table("update_metrics") as metrics:
        metrics.add_column(sa.Column("at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "job_labels",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_labels_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "key", name="pk_job_labels"),
    )
    op.create_index("ix_job_labels_key_value_job_id", "job_labels", ["key", "value", "job_id"])
    op.create_table(
        "deleted_jobs",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("change_seq", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("folder_removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name="pk_deleted_jobs"),
    )
    op.create_index("ix_deleted_jobs_change_seq", "deleted_jobs", ["change_seq"])
    op.create_table(
        "metric_chunks",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("column", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_update", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("num_updates", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "epoch"],
            ["attempts.job_id", "attempts.epoch"],
            name="fk_metric_chunks_job_id_epoch_attempts",
        ),
        sa.PrimaryKeyConstraint(
            "job_id", "column", "epoch", "first_update", name="pk_metric_chunks"
        ),
    )
    _fill_labels()
    _create_api_keys()
    _create_datasets()
    _create_webhooks()


def downgrade() -> None:
    for table in (
        "webhook_attempts",
        "webhook_deliveries",
        "webhooks",
        "datasets",
        "api_keys",
        "metric_chunks",
        "deleted_jobs",
        "job_labels",
    ):
        op.drop_table(table)
    with op.batch_alter_table("update_metrics") as metrics:
        metrics.drop_column("at")
    # Two callers may have used one key: the earlier schema has room for one of them.
    op.execute(
        "DELETE FROM idempotency_keys WHERE EXISTS (SELECT 1 FROM idempotency_keys AS other "
        "WHERE other.key = idempotency_keys.key AND other.caller < idempotency_keys.caller)"
    )
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.drop_constraint("pk_idempotency_keys", type_="primary")
        keys.drop_column("caller")
        keys.create_primary_key("pk_idempotency_keys", ["key"])
    for columns in NEW_JOB_INDEXES:
        op.drop_index(f"ix_jobs_{'_'.join(columns)}", "jobs")
    op.create_index("ix_jobs_queue_state_created_at", "jobs", ["queue", "state", "created_at"])
    with op.batch_alter_table("jobs") as jobs:
        for name in (
            "change_seq",
            "api_key_id",
            "priority",
            "labels",
            "teacher_model",
            "model",
            "kind",
        ):
            jobs.drop_column(name)


def _widen_jobs() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(
            sa.Column("kind", sa.String(16), nullable=False, server_default="distillation")
        )
        jobs.add_column(sa.Column("model", sa.String(512), nullable=True))
        jobs.add_column(sa.Column("teacher_model", sa.String(512), nullable=True))
        jobs.add_column(sa.Column("labels", sa.JSON(), nullable=False, server_default="{}"))
        jobs.add_column(sa.Column("priority", sa.BigInteger(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("api_key_id", sa.String(32), nullable=True))
        jobs.add_column(
            sa.Column("change_seq", sa.BigInteger(), nullable=False, server_default="0")
        )
    op.drop_index("ix_jobs_queue_state_created_at", "jobs")
    for columns in NEW_JOB_INDEXES:
        op.create_index(f"ix_jobs_{'_'.join(columns)}", "jobs", list(columns))


def _scope_idempotency_keys() -> None:
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.add_column(sa.Column("caller", sa.String(32), nullable=False, server_default=""))
        keys.drop_constraint("pk_idempotency_keys", type_="primary")
        keys.create_primary_key("pk_idempotency_keys", ["caller", "key"])


def _fill_labels() -> None:
    """Of the jobs that are there: what they are found by stands in their specs."""
    jobs = sa.table(
        "jobs",
        sa.column("id", sa.String),
        sa.column("spec", sa.JSON),
        sa.column("kind", sa.String),
        sa.column("model", sa.String),
        sa.column("teacher_model", sa.String),
        sa.column("labels", sa.JSON),
    )
    job_labels = sa.table("job_labels", *(sa.column(name) for name in ("job_id", "key", "value")))
    connection = op.get_bind()
    after = ""
    while True:
        rows = connection.execute(
            sa.select(jobs.c.id, jobs.c.spec)
            .where(jobs.c.id > after)
            .order_by(jobs.c.id)
            .limit(1000)
        ).all()
        if not rows:
            return
        after = rows[-1].id
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == sa.bindparam("job_id"))
            .values({name: sa.bindparam(f"new_{name}") for name in ("kind", "model", "labels")})
            .values(teacher_model=sa.bindparam("new_teacher_model")),
            [_found_by(row.id, row.spec) for row in rows],
        )
        labels = [
            {"job_id": row.id, "key": key, "value": value}
            for row in rows
            for key, value in (row.spec.get("labels") or {}).items()
        ]
        if labels:
            connection.execute(sa.insert(job_labels), labels)


def _found_by(job_id: str, spec: dict) -> dict:
    model = spec.get("student") or spec.get("model") or {}
    return {
        "job_id": job_id,
        "new_kind": spec.get("kind", "distillation"),
        "new_model": model.get("model"),
        "new_teacher_model": (spec.get("teacher") or {}).get("model"),
        "new_labels": spec.get("labels") or {},
    }


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("caller_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("key_start", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("max_queued_jobs", sa.BigInteger(), nullable=True),
        sa.Column("max_requests_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("max_streams", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_sha256", name="uq_api_keys_key_sha256"),
    )


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("num_problems", sa.BigInteger(), nullable=False),
        sa.Column("num_answers", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
    )
    op.create_index("ix_datasets_created_at_id", "datasets", ["created_at", "id"])


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=True),
        sa.Column("event_types", sa.JSON(), nullable=False),
        sa.Column("secret", sa.String(length=100), nullable=False),
        sa.Column("earlier_secret", sa.String(length=100), nullable=True),
        sa.Column("earlier_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("webhook_id", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.Column("event_seq", sa.BigInteger(), nullable=True),
        sa.Column("event_type", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("num_attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_deliveries_webhook_id_webhooks",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
    )
    for columns in (
        ["webhook_id", "state", "next_attempt_at"],
        ["webhook_id", "id"],
        ["created_at"],
        ["job_id"],
    ):
        op.create_index(f"ix_webhook_deliveries_{'_'.join(columns)}", "webhook_deliveries", columns)
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("http_status", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name="fk_webhook_attempts_delivery_id_webhook_deliveries",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name="pk_webhook_attempts"),
    )
