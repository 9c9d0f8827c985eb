"""Calibrations of confidence, and answers of experts to whoever asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "calibration",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("adapter", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("chosen_by", sa.Text, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("model", "adapter", name="pk_calibration"),
    )
    op.create_table(
        "expert_answer",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("failure_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("seen", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_expert_answer"),
        sa.ForeignKeyConstraint(["failure_id"], ["failure.id"], name="fk_expert_answer_failure_id", ondelete="CASCADE"),
    )
    op.create_index("ix_expert_answer_failure_id", "expert_answer", ["failure_id"])
    op.create_index("ix_expert_answer_subject", "expert_answer", ["subject"])


def downgrade() -> None:
    """Drop both."""
    for table in ("expert_answer", "calibration"):
        op.drop_table(table)
