"""Cases that came with a release: offered to a group, and in force there once somebody of the site accepted them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAMES = ("ck_gold_case_state", "ck_gold_case_ck_gold_case_state")
"""What the constraint may be called: Alembic may have put the convention's beginning before the name a second time."""


def upgrade() -> None:
    """Add the column, by which a case of a release is known again, and the state."""
    op.add_column("gold_case", sa.Column("released", sa.Text, nullable=True))
    _states("'active', 'blocked', 'retired', 'offered'")


def downgrade() -> None:
    """Take both away; what was offered and not accepted is gone."""
    op.execute("DELETE FROM gold_case WHERE state = 'offered'")
    _states("'active', 'blocked', 'retired'")
    op.drop_column("gold_case", "released")


def _states(states: str) -> None:
    for name in _NAMES:
        op.execute(f"ALTER TABLE gold_case DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE gold_case ADD CONSTRAINT ck_gold_case_state CHECK (state IN ({states}))")
