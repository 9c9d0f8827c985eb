"""Tables of documents and their passages. The gateway's migrations create them; a test holds the two equal.

Who may see a document stands in its row (``groups``). The database asks too: rows of ``document`` are shown to those
groups alone that the transaction named (``access``), also to a statement that forgot to ask. Passages are reached
through their document only. Words are counted apart for each set of groups that documents have, so that a count tells a
reader of documents that they may see and of no others; the database asks here as well. Titles, words and vectors lie
open in the database, since they are searched (ADR 142); no statistics are kept of any column, because samples of values
would outlive the document.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from appliance.memory.brief_schema import define as define_briefs
from appliance.memory.language import CONFIGURATION

STATES = ("ready", "refused")


class HalfVector(UserDefinedType[str]):
    """pgvector's ``halfvec``: numbers of 16 bits, written as ``[1,2,3]``. Models differ in how many."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name."""
        return "halfvec"


ischema_names["halfvec"] = HalfVector  # so that the type is known when a database's tables are read


def _words_of(language: str) -> Index:
    where = text(f"language = '{language}'")
    return Index(f"ix_passage_words_{language}", "words", postgresql_using="gin", postgresql_where=where)


def define(metadata: MetaData) -> None:
    """Add the tables to ``metadata``."""
    Table(
        "document",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("origin", Text, nullable=False, unique=True),
        Column("title", Text, nullable=False),
        Column("media_type", Text, nullable=False),
        Column("language", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("text_digest", Text, nullable=True),
        Column("groups", ARRAY(Text), nullable=False),
        Column("state", Text, nullable=False),
        Column("reason", Text, nullable=True),
        Column("pages", Integer, nullable=True),
        Column("characters", BigInteger, nullable=False),
        Column("passages", Integer, nullable=False),
        Column("model", Text, nullable=True),
        Column("imported_by", Text, nullable=False),
        Column("imported", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("folder", Text, nullable=True),
        CheckConstraint("state IN ('ready', 'refused')", name="state"),
    )
    Table(
        "passage",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("document_id", Uuid, ForeignKey("document.id", ondelete="CASCADE"), nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("page", Integer, nullable=True),
        Column("headings", ARRAY(Text), nullable=False),
        Column("body", Text, nullable=False),
        Column("language", Text, nullable=False),
        Column("words", TSVECTOR, nullable=False),
        Index("ix_passage_document_ordinal", "document_id", "ordinal", unique=True),
        *map(_words_of, CONFIGURATION),
    )
    Table(
        "passage_vector",
        metadata,
        Column("passage_id", BigInteger, ForeignKey("passage.id", ondelete="CASCADE"), primary_key=True),
        Column("document_id", Uuid, nullable=False),
        Column("embedding", HalfVector, nullable=False),
        Index("ix_passage_vector_document", "document_id"),
    )
    Table(
        "word_count",
        metadata,
        Column("language", Text, primary_key=True),
        Column("word", Text, primary_key=True),
        Column("groups", ARRAY(Text), primary_key=True),
        Column("passages", BigInteger, nullable=False),
    )
    Table(
        "sweep_due",
        metadata,
        Column("what", Text, primary_key=True),
        Column("since", DateTime(timezone=True), nullable=False, server_default=func.now()),
        CheckConstraint("what = 'documents'", name="what"),
    )
    define_briefs(metadata)


metadata = MetaData()
define(metadata)
document = metadata.tables["document"]
passage = metadata.tables["passage"]
passage_vector = metadata.tables["passage_vector"]
word_count = metadata.tables["word_count"]
sweep_due = metadata.tables["sweep_due"]
brief = metadata.tables["brief"]
brief_line = metadata.tables["brief_line"]
brief_strike = metadata.tables["brief_strike"]
