"""What jobs keep to be looked at afterwards: reverse KL on held-out problems, gradients compared, drift by token."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reverse_kls",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("benchmark", sa.String(64), nullable=False),
        sa.Column("update_index", sa.BigInteger(), nullable=False),
        sa.Column("estimator", sa.String(16), nullable=False),
        sa.Column("num_responses", sa.BigInteger(), nullable=False),
        sa.Column("num_tokens", sa.BigInteger(), nullable=False),
        sa.Column("mean_nats", sa.Double(), nullable=True),
        sa.Column("standard_error_nats", sa.Double(), nullable=True),
        sa.Column("problems_sha256", sa.String(64), nullable=False),
        sa.Column("max_response_tokens", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "epoch"],
            ["attempts.job_id", "attempts.epoch"],
            name="fk_reverse_kls_job_id_epoch_attempts",
        ),
        sa.PrimaryKeyConstraint("job_id", "epoch", "stage", "benchmark", name="pk_reverse_kls"),
    )
    op.create_table(
        "gradient_fidelities",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("update_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("depth", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("num_tokens", sa.BigInteger(), nullable=False),
        sa.Column("num_fresh_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reverse_kl_nats", sa.Double(), nullable=True),
        sa.Column("half_cosine", sa.Double(), nullable=True),
        sa.Column("weightings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "epoch"],
            ["attempts.job_id", "attempts.epoch"],
            name="fk_gradient_fidelities_job_id_epoch_attempts",
        ),
        sa.PrimaryKeyConstraint(
            "job_id", "epoch", "update_index", "depth", name="pk_gradient_fidelities"
        ),
    )
    op.create_table(
        "token_drifts",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("update_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("minibatch", sa.BigInteger(), nullable=False),
        sa.Column("num_responses_left_out", sa.BigInteger(), nullable=False),
        sa.Column("response_lengths", sa.LargeBinary(), nullable=False),
        sa.Column("drift_nats", sa.LargeBinary(), nullable=False),
        sa.Column("abs_losses", sa.LargeBinary(), nullable=False),
        sa.Column("newlines", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "epoch"],
            ["attempts.job_id", "attempts.epoch"],
            name="fk_token_drifts_job_id_epoch_attempts",
        ),
        sa.PrimaryKeyConstraint("job_id", "epoch", "update_index", name="pk_token_drifts"),
    )


def downgrade() -> None:
    op.drop_table("token_drifts")
    op.drop_table("gradient_fidelities")
    op.drop_table("reverse_kls")
