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
    """Take it away again, and with it those of neighbours, which an older release would make anew in each sweep."""
    op.drop_index("ix_passage_vector_document", "passage_vector")
    near = "SELECT relname FROM pg_class WHERE relkind = 'i' AND starts_with(relname, 'ix_passage_vector_near_')"
    for (name,) in op.get_bind().exec_driver_sql(near).all():
        op.drop_index(name, "passage_vector")
