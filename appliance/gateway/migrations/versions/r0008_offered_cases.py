"""Cases that came with a release: offered to a group, and in force there once somebody of the site accepted them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, by which a case of a release is known again, and the state."""
    op.add_column("gold_case", sa.Column("released", sa.Text, nullable=True))
    op.drop_constraint("ck_gold_case_state", "gold_case")
    op.create_check_constraint(
        "ck_gold_case_state", "gold_case", "state IN ('active', 'blocked', 'retired', 'offered')"
    )


def downgrade() -> None:
    """Take both away; what was offered and not accepted is gone."""
    op.execute("DELETE FROM gold_case WHERE state = 'offered'")
    op.drop_constraint("ck_gold_case_state", "gold_case")
    op.create_check_constraint("ck_gold_case_state", "gold_case", "state IN ('active', 'blocked', 'retired')")
    op.drop_column("gold_case", "released")
