"""Tables of the loop. The gateway's migrations create them; a test holds the two equal.

What a person sent is sealed under that person's key, and so is what an expert answered them; what an expert noted under
the expert's, and a case under the key of whoever's words it holds (``gold_case.sealed_for``): erasing a person destroys
all of it. Groups, models, rulings and
states lie open, because they are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from sqlalchemy import MetaData

RULINGS = ("right", "wrong", "unclear")
CASE_STATES = ("active", "blocked", "retired", "offered")


def define(metadata: MetaData) -> None:
    """Add the tables to ``metadata``; ``conversation`` is there already.

    A failure goes with its conversation and not with its message: who asks again replaces that.
    """
    moment = DateTime(timezone=True)
    Table(
        "failure",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("message_id", Uuid, nullable=False, unique=True),
        Column("conversation_id", Uuid, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
        Column("subject", Text, nullable=False),
        Column("group_name", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("created", moment, nullable=False, server_default=func.now()),
        Index("ix_failure_group_name_created", "group_name", "created"),
        Index("ix_failure_subject", "subject"),
    )
    Table(
        "ruling",
        metadata,
        Column("failure_id", Uuid, ForeignKey("failure.id", ondelete="CASCADE"), primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("ruling", Text, nullable=False),
        Column("first_ruling", Text, nullable=False),
        Column("note", LargeBinary, nullable=True),
        Column("created", moment, nullable=False, server_default=func.now()),
        CheckConstraint("ruling IN ('right', 'wrong', 'unclear')", name="ruling"),
        Index("ix_ruling_subject", "subject"),
    )
    Table(
        "expert_answer",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("failure_id", Uuid, ForeignKey("failure.id", ondelete="CASCADE"), nullable=False),
        Column("subject", Text, nullable=False),
        Column("author", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("created", moment, nullable=False, server_default=func.now()),
        Column("seen", moment, nullable=True),
        Index("ix_expert_answer_failure_id", "failure_id"),
        Index("ix_expert_answer_subject", "subject"),
    )
    Table(
        "calibration",
        metadata,
        Column("model", Text, primary_key=True),
        Column("adapter", Text, primary_key=True),
        Column("digest", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("chosen_by", Text, nullable=False),
        Column("since", moment, nullable=False),
    )
    Table(
        "gold_case",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("state", Text, nullable=False),
        Column("groups", ARRAY(Text), nullable=False),
        Column("vital", Boolean, nullable=False),
        Column("digest", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("sealed_for", Text, nullable=False),
        Column("origin", Text, nullable=True),
        Column("origin_digest", Text, nullable=True),
        Column("failure_id", Uuid, nullable=True),
        Column("author", Text, nullable=False),
        Column("created", moment, nullable=False, server_default=func.now()),
        Column("released", Text, nullable=True),
        CheckConstraint("state IN ('active', 'blocked', 'retired', 'offered')", name="state"),
        Index("ix_gold_case_sealed_for", "sealed_for"),
        Index("ix_gold_case_origin", "origin"),
        Index("ix_gold_case_failure_id", "failure_id"),
    )
