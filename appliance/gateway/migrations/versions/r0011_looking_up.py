"""Rollouts of how documents are looked up."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more kind."""
    _only("'pack', 'brief', 'instructions', 'model', 'documents'")


def downgrade() -> None:
    """Forget it, and those rollouts."""
    op.execute("DELETE FROM rollout WHERE kind = 'documents'")
    _only("'pack', 'brief', 'instructions', 'model'")


def _only(kinds: str) -> None:
    op.execute("ALTER TABLE rollout DROP CONSTRAINT ck_rollout_kind")
    op.execute(f"ALTER TABLE rollout ADD CONSTRAINT ck_rollout_kind CHECK (kind IN ({kinds}))")
