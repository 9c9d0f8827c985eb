"""Staged rollouts: which share of a group is answered under what, and what is counted of it while that lasts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rollout",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("former", sa.Text, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("stages", ARRAY(sa.Integer), nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("verdict", JSONB, nullable=True),
        sa.Column("figures", JSONB, nullable=True),
        sa.Column("begun_by", sa.Text, nullable=False),
        sa.Column("created", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("stage_since", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("changed", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_rollout"),
        sa.CheckConstraint("kind IN ('pack', 'brief')", name="ck_rollout_kind"),
        sa.CheckConstraint("state IN ('running', 'back', 'kept')", name="ck_rollout_state"),
        sa.CheckConstraint("stage >= 0 AND stage < cardinality(stages)", name="ck_rollout_stage"),
    )
    op.create_index(
        "uq_rollout_running", "rollout", ["group_name"], unique=True, postgresql_where=sa.text("state = 'running'")
    )
    _create_answers()


def _create_answers() -> None:
    no = sa.text("false")
    op.create_table(
        "rollout_answer",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("rollout_id", sa.Uuid, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("new", sa.Boolean, nullable=False),
        sa.Column("drawn", sa.Boolean, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("message_id", sa.Uuid, nullable=True),
        sa.Column("at", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("first_token_s", sa.Double, nullable=True),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("joules", sa.Double, nullable=False),
        sa.Column("repeated", sa.Boolean, nullable=False, server_default=no),
        sa.Column("abandoned", sa.Boolean, nullable=False, server_default=no),
        sa.Column("declined", sa.Boolean, nullable=False, server_default=no),
        sa.Column("verdict", sa.Text, nullable=True),
        sa.Column("marked", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("request_id", name="pk_rollout_answer"),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name="fk_rollout_answer_rollout_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("verdict IN ('up', 'down')", name="ck_rollout_answer_verdict"),
    )
    op.create_index("ix_rollout_answer_rollout_id_stage_subject", "rollout_answer", ["rollout_id", "stage", "subject"])
    op.create_index("ix_rollout_answer_message_id", "rollout_answer", ["message_id"])
    op.create_index("ix_rollout_answer_subject", "rollout_answer", ["subject"])


def downgrade() -> None:
    """Drop them, dependants first."""
    op.drop_table("rollout_answer")
    op.drop_table("rollout")
