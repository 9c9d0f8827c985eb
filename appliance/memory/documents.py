"""Documents as values: what is known of each, and what is brought to the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from appliance.memory.chunking import Chunk
    from appliance.memory.language import Language

NOBODY = "erased"
"""Who brought a document, once they were erased. No pseudonym, and no operator's uid, is spelt so."""


@dataclass(frozen=True)
class Arrival:
    """Who brought which bytes from where, for whom. ``origin`` names the document: another with it replaces this one.

    ``digest`` is ``sha256:`` of the file; of its head (``HEAD_BYTES``) where it is larger than a document may be.
    ``folder`` is the folder of the site file that it lies in, None where somebody named the file.
    """

    origin: str
    title: str
    media_type: str
    digest: str
    groups: tuple[str, ...]
    imported_by: str
    folder: str | None = None


@dataclass(frozen=True)
class Passage:
    """A passage that is to be kept: where it lies, and its words."""

    chunk: Chunk
    body: str


@dataclass(frozen=True)
class Reading:
    """What an arrival came to: its text's digest (``sha256:``), language and passages."""

    text_digest: str
    language: Language
    pages: int | None
    characters: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Document:
    """A document in the store. ``reason`` says in one word why it could not be read, where it is ``refused``.

    ``model`` is whose vectors its passages have or are being given (``vectoring``); None until that begins.
    """

    id: uuid.UUID
    origin: str
    title: str
    media_type: str
    language: str
    digest: str
    text_digest: str | None
    groups: tuple[str, ...]
    state: Literal["ready", "refused"]
    reason: str | None
    pages: int | None
    characters: int
    passages: int
    model: str | None
    imported_by: str
    imported: datetime
    folder: str | None


@dataclass(frozen=True)
class Place:
    """Where a passage stands: a document, the digest of its text in that version, and ``[first, last)`` in it."""

    document: uuid.UUID
    version: str
    first: int
    last: int


@dataclass(frozen=True)
class Found:
    """A passage that answers a question: of which version of which document, where in its text, and what it says.

    ``cosine`` says how near its vector is to the question's, where it was among the nearest (``nearness``).
    """

    document: uuid.UUID
    title: str
    digest: str
    text_digest: str
    passage: int
    ordinal: int
    first: int
    last: int
    page: int | None
    headings: tuple[str, ...]
    body: str
    language: str
    score: float
    cosine: float | None = None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.document, self.text_digest, self.first, self.last)
