"""Rollouts of the site's own instructions, for a group, and of a model's adapters."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two more kinds."""
    _only("'pack', 'brief', 'instructions', 'site_instructions', 'model', 'adapter', 'documents'")


def downgrade() -> None:
    """Forget them, and those rollouts."""
    op.execute("DELETE FROM rollout WHERE kind IN ('site_instructions', 'adapter')")
    _only("'pack', 'brief', 'instructions', 'model', 'documents'")


def _only(kinds: str) -> None:
    op.execute("ALTER TABLE rollout DROP CONSTRAINT ck_rollout_kind")
    op.execute(f"ALTER TABLE rollout ADD CONSTRAINT ck_rollout_kind CHECK (kind IN ({kinds}))")
