"""Documents: what they are, whose they are, their passages with words and vectors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from appliance.memory.schema import HalfVector

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXTS = sa.ARRAY(sa.Text)
_TABLES = ("document", "passage", "passage_vector", "word_count")
_MINE = (
    "current_setting('sovereign.groups', true) = '*' "
    "OR groups && string_to_array(current_setting('sovereign.groups', true), ',')"
)


def upgrade() -> None:
    """Create everything. The extension ``vector`` is there: the installer makes it, which the gateway may not."""
    _document()
    _passage()
    op.create_table(
        "passage_vector",
        sa.Column("passage_id", sa.BigInteger, nullable=False),
        sa.Column("document_id", sa.Uuid, nullable=False),
        sa.Column("embedding", HalfVector, nullable=False),
        sa.PrimaryKeyConstraint("passage_id", name="pk_passage_vector"),
        sa.ForeignKeyConstraint(
            ["passage_id"], ["passage.id"], name="fk_passage_vector_passage_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "word_count",
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("groups", _TEXTS, nullable=False),
        sa.Column("passages", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("language", "word", "groups", name="pk_word_count"),
    )
    op.execute("ALTER TABLE passage SET (toast_tuple_target = 8160)")  # whole rows: ranking reads words of thousands
    op.execute("ALTER TABLE passage_vector ALTER embedding SET STORAGE PLAIN")  # in its row: a search reads all of them
    _keep_no_samples()
    for table in ("document", "word_count"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # the owner, who we are, is asked as well
        op.execute(f"CREATE POLICY readers ON {table} USING ({_MINE})")
    op.create_table(
        "sweep_due",
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("what", name="pk_sweep_due"),
        sa.CheckConstraint("what = 'documents'", name="ck_sweep_due_what"),
    )


def _keep_no_samples() -> None:
    """Of no column: values that ANALYZE samples stay in ``pg_statistic``, which we cannot write anew."""
    columns = sa.inspect(op.get_bind())
    for table in _TABLES:
        for column in columns.get_columns(table):
            op.execute(f"ALTER TABLE {table} ALTER {column['name']} SET STATISTICS 0")


def _document() -> None:
    op.create_table(
        "document",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("text_digest", sa.Text, nullable=True),
        sa.Column("groups", _TEXTS, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("pages", sa.Integer, nullable=True),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("passages", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=True),
        sa.Column("imported_by", sa.Text, nullable=False),
        sa.Column("imported", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("folder", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("origin", name="uq_document_origin"),
        sa.CheckConstraint("state IN ('ready', 'refused')", name="ck_document_state"),
    )


def _passage() -> None:
    op.create_table(
        "passage",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("document_id", sa.Uuid, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("page", sa.Integer, nullable=True),
        sa.Column("headings", _TEXTS, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("words", postgresql.TSVECTOR, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_passage"),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name="fk_passage_document_id", ondelete="CASCADE"),
    )
    op.create_index("ix_passage_document_ordinal", "passage", ["document_id", "ordinal"], unique=True)
    op.create_index("ix_passage_words", "passage", ["words"], postgresql_using="gin")


def downgrade() -> None:
    """Drop everything, dependants first."""
    for table in ("sweep_due", "word_count", "passage_vector", "passage", "document"):
        op.drop_table(table)
