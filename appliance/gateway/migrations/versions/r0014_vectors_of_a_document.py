"""An index of vectors by their document: of few documents, only theirs are read."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_passage_vector_document", "passage_vector", ["document_id"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("ix_passage_vector_document", "passage_vector")
