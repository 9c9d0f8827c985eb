"""Tables of staged rollouts. The gateway's migrations create them; a test holds the two equal.

``rollout`` has one row a rollout, and at most one of a group runs. ``rollout_answer`` has one row an answer while the
rollout runs: whose, when, how it ended and what it cost, and no word of it. The rows go when the rollout ends, and its
row keeps the sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

if TYPE_CHECKING:
    from sqlalchemy import MetaData


_KINDS = "'pack', 'brief', 'instructions', 'site_instructions', 'model', 'adapter', 'documents'"


def define(metadata: MetaData) -> None:
    """Add the tables to ``metadata``."""
    moment = DateTime(timezone=True)
    Table(
        "rollout",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("group_name", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("former", Text, nullable=False),
        Column("change", Text, nullable=False),
        Column("stages", ARRAY(Integer), nullable=False),
        Column("stage", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("verdict", JSONB, nullable=True),
        Column("figures", JSONB, nullable=True),
        Column("begun_by", Text, nullable=False),
        Column("created", moment, nullable=False, server_default=func.now()),
        Column("stage_since", moment, nullable=False, server_default=func.now()),
        Column("changed", moment, nullable=False, server_default=func.now()),
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        CheckConstraint("state IN ('running', 'back', 'kept')", name="state"),
        CheckConstraint("stage >= 0 AND stage < cardinality(stages)", name="stage"),
        Index("uq_rollout_running", "group_name", unique=True, postgresql_where=text("state = 'running'")),
    )
    Table(
        "rollout_answer",
        metadata,
        Column("request_id", Text, primary_key=True),
        Column("rollout_id", Uuid, ForeignKey("rollout.id", ondelete="CASCADE"), nullable=False),
        Column("stage", Integer, nullable=False),
        Column("new", Boolean, nullable=False),
        Column("drawn", Boolean, nullable=False),
        Column("subject", Text, nullable=False),
        Column("message_id", Uuid, nullable=True),
        Column("at", moment, nullable=False, server_default=func.now()),
        Column("outcome", Text, nullable=False),
        Column("first_token_s", Double, nullable=True),
        Column("seconds", Double, nullable=False),
        Column("tokens", Integer, nullable=False),
        Column("joules", Double, nullable=False),
        Column("repeated", Boolean, nullable=False, server_default=text("false")),
        Column("abandoned", Boolean, nullable=False, server_default=text("false")),
        Column("declined", Boolean, nullable=False, server_default=text("false")),
        Column("verdict", Text, nullable=True),
        Column("marked", moment, nullable=True),
        CheckConstraint("verdict IN ('up', 'down')", name="verdict"),
        Index("ix_rollout_answer_rollout_id_stage_subject", "rollout_id", "stage", "subject"),
        Index("ix_rollout_answer_message_id", "message_id"),
        Index("ix_rollout_answer_subject", "subject"),
    )
