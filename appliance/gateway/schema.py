"""The gateway's tables. ``migrations/`` creates them; a test holds the two equal.

Nothing here names a person: ``subject`` is a pseudonym (``pseudonyms``), contents and titles are sealed
(``sealing``), and session ids are stored as digests only. Documents belong to groups, and lie open (``memory.schema``).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

from appliance.learning.rollout_schema import define as define_rollouts
from appliance.learning.schema import define as define_learning
from appliance.memory.schema import define

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)
define(metadata)
_Moment = DateTime(timezone=True)

user_key = Table(
    "user_key",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created", _Moment, nullable=False, server_default=func.now()),
)

session = Table(
    "session",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("subject", Text, nullable=False, index=True),
    Column("sid", Text, nullable=True, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", _Moment, nullable=False, server_default=func.now()),
    Column("last_seen", _Moment, nullable=False, server_default=func.now()),
    Column("access_expires", _Moment, nullable=False),
    Column("expires", _Moment, nullable=False, index=True),
)

logout_replay = Table(
    "logout_replay",
    metadata,
    Column("jti_hash", LargeBinary, primary_key=True),
    Column("expires", _Moment, nullable=False),
)

conversation = Table(
    "conversation",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("title", LargeBinary, nullable=True),
    Column("created", _Moment, nullable=False, server_default=func.now()),
    Column("updated", _Moment, nullable=False, server_default=func.now()),
    Column("busy_until", _Moment, nullable=True),
    Index("ix_conversation_subject_updated", "subject", "updated"),
)

message = Table(
    "message",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("conversation_id", Uuid, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
    Column("ordinal", BigInteger, Identity(always=True), nullable=False),
    Column("role", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("receipt", LargeBinary, nullable=True),
    Column("finish_reason", Text, nullable=True),
    Column("created", _Moment, nullable=False, server_default=func.now()),
    CheckConstraint("role IN ('user', 'assistant')", name="role"),
    Index("ix_message_conversation_ordinal", "conversation_id", "ordinal"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("message_id", Uuid, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("reason", LargeBinary, nullable=True),
    Column("created", _Moment, nullable=False, server_default=func.now()),
    Column("detail", LargeBinary, nullable=True),
    CheckConstraint("verdict IN ('up', 'down')", name="verdict"),
)

define_learning(metadata)
failure = metadata.tables["failure"]
ruling = metadata.tables["ruling"]
gold_case = metadata.tables["gold_case"]
expert_answer = metadata.tables["expert_answer"]
calibration = metadata.tables["calibration"]

define_rollouts(metadata)
rollout = metadata.tables["rollout"]
rollout_answer = metadata.tables["rollout_answer"]

quota_counter = Table(
    "quota_counter",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("window_start", _Moment, primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("cap", BigInteger, nullable=False),
)

event_cursor = Table(
    "event_cursor",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("at", BigInteger),
    Column("read", BigInteger),
    Column("begun", BigInteger, nullable=False),
)

group_pack = Table(
    "group_pack",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("pack", Text, nullable=False),
    Column("before", ARRAY(Text), nullable=False),
    Column("chosen_by", Text, nullable=False),
    Column("since", _Moment, nullable=False),
)
