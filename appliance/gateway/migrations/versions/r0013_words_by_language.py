"""An index of words for each language: in one of all, a word is met in passages of languages that are not searched."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_LANGUAGES = ("en", "fr", "de", "other")


def upgrade() -> None:
    """One index becomes four."""
    for language in _LANGUAGES:
        where = f"language = '{language}'"
        name = f"ix_passage_words_{language}"
        op.create_index(name, "passage", ["words"], postgresql_using="gin", postgresql_where=where)
    op.drop_index("ix_passage_words", "passage")


def downgrade() -> None:
    """And one again."""
    op.create_index("ix_passage_words", "passage", ["words"], postgresql_using="gin")
    for language in _LANGUAGES:
        op.drop_index(f"ix_passage_words_{language}", "passage")
