"""Tables of briefs: what a group's assistant is told before anybody asks, chosen overnight from the group's documents.

A brief holds places and no words: which span of which version of which document, or which version of a ruling. What
stands there is read when it is told (``gateway.brief_lines``), under the group's own rights. So a sentence is gone with
its document, in the same transaction, and there is no copy of it to look for. A strike keeps a digest of the sentence,
bound to its group and document, so that it does not come back with the document's next version; it goes with the
document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
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
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:
    from sqlalchemy import MetaData

STATES = ("compiling", "compiled", "judged", "in_force", "refused", "replaced", "empty")


def define(metadata: MetaData) -> None:
    """Add the tables to ``metadata``."""
    moment = DateTime(timezone=True)
    Table(
        "brief",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("group_name", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("inputs", Text, nullable=True),
        Column("against", Uuid, nullable=True),
        Column("cause", Text, nullable=True),
        Column("figures", JSONB, nullable=True),
        Column("joules", Double, nullable=False, server_default="0"),
        Column("created", moment, nullable=False, server_default=func.now()),
        Column("changed", moment, nullable=False, server_default=func.now()),
        CheckConstraint(
            "state IN ('compiling', 'compiled', 'judged', 'in_force', 'refused', 'replaced', 'empty')", name="state"
        ),
        Index("ix_brief_group_name_created", "group_name", "created"),
        Index("uq_brief_in_force", "group_name", unique=True, postgresql_where=text("state = 'in_force'")),
    )
    Table(
        "brief_line",
        metadata,
        Column("brief_id", Uuid, ForeignKey("brief.id", ondelete="CASCADE"), primary_key=True),
        Column("ordinal", Integer, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("source", Uuid, nullable=False),
        Column("version", Text, nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        CheckConstraint("kind IN ('document', 'ruling')", name="kind"),
        Index("ix_brief_line_source", "source"),
    )
    Table(
        "brief_strike",
        metadata,
        Column("group_name", Text, primary_key=True),
        Column("source", Uuid, primary_key=True),
        Column("words", Text, primary_key=True),
        Column("created", moment, nullable=False, server_default=func.now()),
        Index("ix_brief_strike_source", "source"),
    )
