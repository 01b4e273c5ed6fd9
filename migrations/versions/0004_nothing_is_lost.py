"""What jobs need, who the workers are, how attempts ended, and which reconciler leads."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CLAIM_ORDER = [
    *("queue", "state", "needs_device", "priority", "api_key_id", "created_at"),
    "needs_memory_bytes",
]


def upgrade() -> None:
    _widen_jobs()
    with op.batch_alter_table("attempts") as attempts:
        attempts.add_column(sa.Column("ending", sa.String(16), nullable=True))
    op.create_index("ix_attempts_owner_ended_at", "attempts", ["owner", "ended_at"])
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("device", sa.String(16), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("aside_s", sa.Double(), nullable=False),
        sa.Column("num_times_aside", sa.BigInteger(), nullable=False),
        sa.Column("aside_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("aside_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("owner", name="pk_workers"),
    )
    op.create_table(
        "leader_lease",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leader_lease"),
    )


def downgrade() -> None:
    op.drop_table("leader_lease")
    op.drop_table("workers")
    op.drop_index("ix_attempts_owner_ended_at", "attempts")
    with op.batch_alter_table("attempts") as attempts:
        attempts.drop_column("ending")
    op.drop_index("ix_jobs_claim_order", "jobs")
    with op.batch_alter_table("jobs") as jobs:
        for name in ("needs_device", "needs_memory_bytes", "waits_because", "deadline_at"):
            jobs.drop_column(name)
    op.create_index(
        "ix_jobs_queue_state_priority_created_at",
        "jobs",
        ["queue", "state", "priority", "created_at"],
    )


def _widen_jobs() -> None:
    op.drop_index("ix_jobs_queue_state_priority_created_at", "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(
            sa.Column("needs_device", sa.String(16), nullable=False, server_default="auto")
        )
        jobs.add_column(sa.Column("needs_memory_bytes", sa.BigInteger(), nullable=True))
        jobs.add_column(sa.Column("waits_because", sa.Text(), nullable=True))
        jobs.add_column(sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True))
    for device in ("cpu", "cuda"):
        op.execute(_needing(device))
    op.create_index("ix_jobs_claim_order", "jobs", CLAIM_ORDER)


def _needing(device: str) -> sa.Update:
    """Jobs of earlier versions that asked for the device."""
    jobs = sa.table("jobs", sa.column("spec", sa.JSON()), sa.column("needs_device", sa.String()))
    asked_for = jobs.c.spec["compute"]["device"].as_string()
    return sa.update(jobs).where(asked_for == device).values(needs_device=device)
