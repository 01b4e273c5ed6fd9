"""Studies: arms × seeds of one spec, their runs and their history."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("caller", sa.String(32), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("max_queued_jobs", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(200), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("queue", sa.String(63), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("arms_found", sa.JSON(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.UniqueConstraint("caller", "idempotency_key", name="uq_studies_caller_idempotency_key"),
    )
    op.create_index("ix_studies_created_at_id", "studies", ["created_at", "id"])
    op.create_index("ix_studies_state", "studies", ["state"])
    op.create_table(
        "study_runs",
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("arm", sa.String(63), nullable=False),
        sa.Column("seed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("total_steps", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=True),
        sa.Column("failure_code", sa.String(32), nullable=True),
        sa.Column("collapsed", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name="fk_study_runs_study_id_studies"
        ),
        sa.PrimaryKeyConstraint("study_id", "arm", "seed", name="pk_study_runs"),
    )
    op.create_index("ix_study_runs_study_id_position", "study_runs", ["study_id", "position"])
    op.create_index("ix_study_runs_job_id", "study_runs", ["job_id"], unique=True)
    op.create_table(
        "study_events",
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name="fk_study_events_study_id_studies"
        ),
        sa.PrimaryKeyConstraint("study_id", "seq", name="pk_study_events"),
    )


def downgrade() -> None:
    op.drop_table("study_events")
    op.drop_table("study_runs")
    op.drop_table("studies")
