"""Every sample of an evaluation, how it was drawn and graded, and what prompts share with benchmarks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What the rows before this revision did not say.
NOT_RECORDED = "not recorded"


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        for name in ("evaluated_samples", "samples_to_evaluate"):
            jobs.add_column(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("evaluations") as evaluations:
        evaluations.add_column(
            sa.Column("profile", sa.String(length=32), nullable=False, server_default="custom")
        )
        evaluations.add_column(sa.Column("top_k", sa.BigInteger(), nullable=True))
        evaluations.add_column(
            sa.Column("sampling_sha256", sa.String(length=64), nullable=False, server_default="")
        )
        evaluations.add_column(
            sa.Column("grader", sa.String(length=200), nullable=False, server_default=NOT_RECORDED)
        )
    with op.batch_alter_table("evaluation_problems") as problems:
        problems.add_column(
            sa.Column("problem_sha256", sa.String(length=64), nullable=False, server_default="")
        )
        for name in ("num_grader_timeouts", "num_loops"):
            problems.add_column(
                sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
            )
    op.create_table(
        "evaluation_samples",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("benchmark", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sample_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("update_index", sa.BigInteger(), nullable=False),
        sa.Column("problem_id", sa.String(length=200), nullable=False),
        sa.Column("problem_sha256", sa.String(length=64), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("response_tokens", sa.BigInteger(), nullable=False),
        sa.Column("finish_reason", sa.String(length=16), nullable=False),
        sa.Column("is_loop", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("layer", sa.String(length=16), nullable=False),
        sa.Column("extracted", sa.Text(), nullable=True),
        sa.Column("answer_key", sa.String(length=200), nullable=True),
        sa.Column("sampling_ms", sa.Double(), nullable=False),
        sa.Column("grading_ms", sa.Double(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id", "epoch"],
            ["attempts.job_id", "attempts.epoch"],
            name="fk_evaluation_samples_job_id_epoch_attempts",
        ),
        sa.PrimaryKeyConstraint(
            "job_id",
            "stage",
            "benchmark",
            "epoch",
            "position",
            "sample_index",
            name="pk_evaluation_samples",
        ),
    )
    op.create_table(
        "prompt_overlaps",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("benchmark", sa.String(length=64), nullable=False),
        sa.Column("num_prompts", sa.BigInteger(), nullable=False),
        sa.Column("num_overlapping", sa.BigInteger(), nullable=False),
        sa.Column("num_dropped", sa.BigInteger(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "epoch"],
            ["attempts.job_id", "attempts.epoch"],
            name="fk_prompt_overlaps_job_id_epoch_attempts",
        ),
        sa.PrimaryKeyConstraint("job_id", "epoch", "benchmark", name="pk_prompt_overlaps"),
    )


def downgrade() -> None:
    op.drop_table("prompt_overlaps")
    op.drop_table("evaluation_samples")
    with op.batch_alter_table("evaluation_problems") as problems:
        for name in ("num_loops", "num_grader_timeouts", "problem_sha256"):
            problems.drop_column(name)
    with op.batch_alter_table("evaluations") as evaluations:
        for name in ("grader", "sampling_sha256", "top_k", "profile"):
            evaluations.drop_column(name)
    with op.batch_alter_table("jobs") as jobs:
        for name in ("samples_to_evaluate", "evaluated_samples"):
            jobs.drop_column(name)
