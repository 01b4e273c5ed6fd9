"""A list of the jobs of one kind reads those alone, in its order."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_kind_created_at_id", "jobs", ["kind", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_jobs_kind_created_at_id", "jobs")
