"""Which pack each group answers under, and which ones it may go back to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "group_pack",
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("pack", sa.Text, nullable=False),
        sa.Column("before", ARRAY(sa.Text), nullable=False),
        sa.Column("chosen_by", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("group_name", name="pk_group_pack"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("group_pack")
