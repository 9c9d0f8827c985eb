"""The learning loop: what people send about answers, what experts rule, and the cases that come of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything; feedback gets room for reasons and a correction."""
    op.add_column("feedback", sa.Column("detail", sa.LargeBinary, nullable=True))
    _failures()
    op.create_table(
        "gold_case",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("groups", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("vital", sa.Boolean, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("sealed_for", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=True),
        sa.Column("origin_digest", sa.Text, nullable=True),
        sa.Column("failure_id", sa.Uuid, nullable=True),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", "version", name="pk_gold_case"),
        sa.CheckConstraint("state IN ('active', 'blocked', 'retired')", name="ck_gold_case_state"),
    )
    op.create_index("ix_gold_case_sealed_for", "gold_case", ["sealed_for"])
    op.create_index("ix_gold_case_origin", "gold_case", ["origin"])
    op.create_index("ix_gold_case_failure_id", "gold_case", ["failure_id"])


def _failures() -> None:
    op.create_table(
        "failure",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_failure"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_failure_conversation_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("message_id", name="uq_failure_message_id"),
    )
    op.create_index("ix_failure_group_name_created", "failure", ["group_name", "created"])
    op.create_index("ix_failure_subject", "failure", ["subject"])
    op.create_table(
        "ruling",
        sa.Column("failure_id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("ruling", sa.Text, nullable=False),
        sa.Column("first_ruling", sa.Text, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=True),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("failure_id", "subject", name="pk_ruling"),
        sa.ForeignKeyConstraint(["failure_id"], ["failure.id"], name="fk_ruling_failure_id", ondelete="CASCADE"),
        sa.CheckConstraint("ruling IN ('right', 'wrong', 'unclear')", name="ck_ruling_ruling"),
    )
    op.create_index("ix_ruling_subject", "ruling", ["subject"])


def downgrade() -> None:
    """Drop everything, dependants first."""
    for table in ("gold_case", "ruling", "failure"):
        op.drop_table(table)
    op.drop_column("feedback", "detail")
