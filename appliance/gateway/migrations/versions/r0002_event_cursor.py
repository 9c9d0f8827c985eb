"""How far Keycloak's events have been read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "event_cursor",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=True),
        sa.Column("read", sa.BigInteger, nullable=True),
        sa.Column("begun", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_event_cursor"),
    )


def downgrade() -> None:
    """Drop it; events are read anew."""
    op.drop_table("event_cursor")
