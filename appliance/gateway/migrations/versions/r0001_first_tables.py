"""First tables: keys, sessions, conversations, feedback, quotas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything."""
    _keys_and_sessions()
    _conversations()
    op.create_table(
        "quota_counter",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("window_start", _MOMENT, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("cap", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject", "metric", "window_start", name="pk_quota_counter"),
    )


def _keys_and_sessions() -> None:
    op.create_table(
        "user_key",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        _now("created"),
        sa.PrimaryKeyConstraint("subject", name="pk_user_key"),
    )
    op.create_table(
        "session",
        sa.Column("id_hash", sa.LargeBinary, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sid", sa.Text, nullable=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _now("created"),
        _now("last_seen"),
        sa.Column("access_expires", _MOMENT, nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name="pk_session"),
    )
    for column in ("subject", "sid", "expires"):
        op.create_index(f"ix_session_{column}", "session", [column])
    op.create_table(
        "logout_replay",
        sa.Column("jti_hash", sa.LargeBinary, nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("jti_hash", name="pk_logout_replay"),
    )


def _conversations() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("title", sa.LargeBinary, nullable=True),
        _now("created"),
        _now("updated"),
        sa.Column("busy_until", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
    )
    op.create_index("ix_conversation_subject_updated", "conversation", ["subject", "updated"])
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("conversation_id", sa.Uuid, nullable=False),
        sa.Column("ordinal", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("receipt", sa.LargeBinary, nullable=True),
        sa.Column("finish_reason", sa.Text, nullable=True),
        _now("created"),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_message_conversation_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("role IN ('user', 'assistant')", name="ck_message_role"),
    )
    op.create_index("ix_message_conversation_ordinal", "message", ["conversation_id", "ordinal"])
    op.create_table(
        "feedback",
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.LargeBinary, nullable=True),
        _now("created"),
        sa.PrimaryKeyConstraint("message_id", name="pk_feedback"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_feedback_message_id", ondelete="CASCADE"),
        sa.CheckConstraint("verdict IN ('up', 'down')", name="ck_feedback_verdict"),
    )


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, _MOMENT, nullable=False, server_default=sa.func.now())


def downgrade() -> None:
    """Drop everything, dependants first."""
    for table in ("feedback", "message", "conversation", "quota_counter", "logout_replay", "session", "user_key"):
        op.drop_table(table)
