"""Briefs: which sentences a group's assistant is told before anybody asks, by place and not by word."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "brief",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=True),
        sa.Column("against", sa.Uuid, nullable=True),
        sa.Column("cause", sa.Text, nullable=True),
        sa.Column("figures", JSONB, nullable=True),
        sa.Column("joules", sa.Double, nullable=False, server_default="0"),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("changed", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_brief"),
        sa.CheckConstraint(
            "state IN ('compiling', 'compiled', 'judged', 'in_force', 'refused', 'replaced', 'empty')",
            name="ck_brief_state",
        ),
    )
    op.create_index("ix_brief_group_name_created", "brief", ["group_name", "created"])
    op.create_index(
        "uq_brief_in_force", "brief", ["group_name"], unique=True, postgresql_where=sa.text("state = 'in_force'")
    )
    op.create_table(
        "brief_line",
        sa.Column("brief_id", sa.Uuid, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source", sa.Uuid, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("brief_id", "ordinal", name="pk_brief_line"),
        sa.ForeignKeyConstraint(["brief_id"], ["brief.id"], name="fk_brief_line_brief_id", ondelete="CASCADE"),
        sa.CheckConstraint("kind IN ('document', 'ruling')", name="ck_brief_line_kind"),
    )
    op.create_index("ix_brief_line_source", "brief_line", ["source"])
    op.create_table(
        "brief_strike",
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("source", sa.Uuid, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("group_name", "source", "words", name="pk_brief_strike"),
    )
    op.create_index("ix_brief_strike_source", "brief_strike", ["source"])
    _keep_no_samples()


def _keep_no_samples() -> None:
    """Of no column of what goes with documents: values that ANALYZE samples stay in ``pg_statistic`` (ADR 142)."""
    columns = sa.inspect(op.get_bind())
    for table in ("brief_line", "brief_strike"):
        for column in columns.get_columns(table):
            op.execute(f"ALTER TABLE {table} ALTER {column['name']} SET STATISTICS 0")


def downgrade() -> None:
    """Drop everything, dependants first."""
    for table in ("brief_strike", "brief_line", "brief"):
        op.drop_table(table)
