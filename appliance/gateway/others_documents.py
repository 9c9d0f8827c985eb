"""What experts write for others to read, held against documents that these may not read.

An expert of several groups knows documents of all of them, and writes to people of one. Where a sentence of theirs
repeats a passage that this one group may not read, nothing of the ruling is kept, and the expert is told which document
it is. The library is asked as the expert, so that no refusal tells of a document that the expert could not find. What
the group may read elsewhere word by word, or sent itself, is nothing that is told to them. The same in other words is
not seen: an expert answers for what they write.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from appliance.gateway.database import DATABASE_DOWN
from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.learning.repeating import Repeated, statements
from appliance.learning.words import holds
from appliance.memory.retrieval import Retrieval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.learning.failures import Sent
    from appliance.memory.documents import Found

DEPTH = 8
"""Passages that are looked at for each sentence, the likest in words first."""
MOST = 200
"""Sentences of a ruling that are looked through: each is a question to the library."""


class OthersDocuments:
    """The documents of an expert's other groups, as words for one group are held against them."""

    def __init__(self, database: AsyncEngine) -> None:
        self._retrieval = Retrieval(database)

    async def check(self, said: Sequence[tuple[str, str]], groups: Sequence[str], group: str, sent: Sent) -> None:
        """Raise ``UnprocessableError`` where a text repeats what ``groups`` may read and ``group`` may not.

        ``said`` are (field, text) for people of ``group``; more than ``MOST`` sentences are refused as well. A sentence
        that stands whole in what was sent tells them nothing. Raises ``NotReadyError`` where the library does not
        answer.
        """
        if not set(groups) - {group}:
            return
        sought = [(field, one) for field, text in said for one in statements(text.replace("\0", " "))]
        if len(sought) > MOST:
            raise UnprocessableError(f"this has more than {MOST} sentences", "say it in fewer", param=sought[-1][0])
        theirs = [one for one in (sent.question, sent.answer, sent.reason, sent.correction) if one]
        try:
            for field, statement in sought:
                known = any(holds(one, statement) for one in theirs)
                if not known and (found := await self._repeated(statement, groups, group)) is not None:
                    raise _refused(field, group, found)
        except (*DATABASE_DOWN, SQLAlchemyError) as error:
            raise NotReadyError("the database does not answer", code="database_unavailable", retry_after=5) from error

    async def _repeated(self, statement: str, groups: Sequence[str], group: str) -> Found | None:
        """A passage that ``statement`` repeats and that ``group`` may not read, neither there nor elsewhere."""
        found = await self._repeating(statement, groups)
        there = await self._retrieval.still([one.place for one in found], [group])
        if not found or any(there) or await self._repeating(statement, [group]):
            return None
        return found[0]

    async def _repeating(self, statement: str, groups: Sequence[str]) -> list[Found]:
        found = await self._retrieval.found(statement, None, groups, DEPTH)
        numbers = await asyncio.to_thread(Repeated([one.body for one in found]).by, statement)
        return [found[number] for number in numbers]


def _refused(field: str, group: str, found: Found) -> UnprocessableError:
    return UnprocessableError(
        f"this repeats {found.title[:120]!r}, which {group} may not read",
        f"say what {group} may know in your own words, or have the document taken in for them",
        code="of_other_groups",
        param=field,
    )
