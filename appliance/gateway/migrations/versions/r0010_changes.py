"""Rollouts of instructions and of models."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two more kinds."""
    _only("'pack', 'brief', 'instructions', 'model'")


def downgrade() -> None:
    """Forget them, and those rollouts."""
    op.execute("DELETE FROM rollout WHERE kind NOT IN ('pack', 'brief')")
    _only("'pack', 'brief'")


def _only(kinds: str) -> None:
    """The naming convention may have doubled the prefix that r0009 gave."""
    for name in ("ck_rollout_kind", "ck_rollout_ck_rollout_kind"):
        op.execute(f"ALTER TABLE rollout DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE rollout ADD CONSTRAINT ck_rollout_kind CHECK (kind IN ({kinds}))")
