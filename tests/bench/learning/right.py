"""What answers a question: the passages of its section, or a copy of one in another file.

Manuals hold the same page in several files (a chapter, and the book in one file), and the site tells copies once. So a
passage that says word for word what one of the section says is right wherever it stands, where it is a sentence at
least. By the strict count only the page itself is right.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from appliance.memory.access import keeping
from appliance.memory.copies import words_of
from appliance.memory.schema import document, passage

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.memory.documents import Document, Found
    from tests.bench.learning.facts import Fact

LEAST_WORDS = 8
"""Of a copy that answers: a line that many pages share is none."""


@dataclass(frozen=True)
class Answering:
    """The section that answers, and what its passages say."""

    page: uuid.UUID
    section: str | None
    texts: frozenset[str]

    def strictly(self, found: Found) -> bool:
        """Whether the passage is the page's own."""
        return found.document == self.page and of_section(self.section, found.headings)

    def by(self, found: Found) -> bool:
        """Whether the passage answers."""
        said = words_of(found.body)
        return self.strictly(found) or (said in self.texts and len(said.split()) >= LEAST_WORDS)


async def answering(pool: AsyncEngine, page: Document, section: str | None) -> Answering:
    """What answers a question whose section is so called; None: all of the page."""
    async with keeping(pool) as connection:
        query = select(passage.c.headings, passage.c.body).where(passage.c.document_id == page.id)
        rows = (await connection.execute(query)).all()
    return Answering(
        page.id, section, frozenset(words_of(row.body) for row in rows if of_section(section, row.headings))
    )


async def carriers(
    pool: AsyncEngine, taken: Mapping[str, Document], facts: Sequence[Fact]
) -> dict[str, frozenset[str]]:
    """By a fact's name, the digests of the documents that carry what its section says: its page, and whole copies."""
    query = select(passage.c.body, document.c.digest).join(document, document.c.id == passage.c.document_id)
    async with keeping(pool) as connection:
        rows = (await connection.execute(query)).all()
    carrying = defaultdict[str, set[str]](set)
    for row in rows:
        carrying[words_of(row.body)].add(row.digest)
    found = {}
    for fact in facts:
        page = taken[fact.page]
        texts = (await answering(pool, page, fact.section)).texts
        found[fact.name] = frozenset({page.digest}) | whole(carrying[one] for one in texts)
    return found


def whole(of_each: Iterable[set[str]]) -> frozenset[str]:
    """The documents that hold every passage, of those that hold each. Pure."""
    held = [frozenset(one) for one in of_each]
    return frozenset.intersection(*held) if held else frozenset()


def of_section(section: str | None, headings: Iterable[str]) -> bool:
    """Whether a passage under ``headings`` is of the section. Pure."""
    return section is None or any(_letters(section) == _letters(title) for title in headings)


def _letters(title: str) -> str:
    return "".join(filter(str.isalnum, title))
