"""What a group's brief is chosen from: sentences of its documents, its rulings, and what was asked in vain.

Only what every member of the group may read: documents are read in the group's own name (``memory.access``), rulings
are those made for it and in nobody's own words. What people sent to experts and still waits says what is needed; it is
opened to be weighed, and no word of it goes into a brief or a report. Corrections that contradict each other weigh
nothing, and rulings that do are not told; both are named by their ids.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from appliance.gateway.brief_lines import ruling_lines, unstruck
from appliance.learning.briefs import contradicted
from appliance.learning.clusters import LEAST_OF_WORDS, by_words, clustered
from appliance.learning.failures import contradicting
from appliance.memory.access import reading
from appliance.memory.brief_choice import Need, Offer, sentences_of
from appliance.memory.retrieval import found_of
from appliance.memory.schema import document, passage
from appliance.memory.store import seen_by

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.failures import FailureStore
    from appliance.gateway.gold_cases import CaseStore
    from appliance.learning.failures import Failure
    from appliance.memory.briefs import Line
    from appliance.memory.documents import Found

MOST_PASSAGES = 6000
"""The newest that are looked at, some 1.5 million tokens of text."""


@dataclass(frozen=True)
class Inputs:
    """All of it. ``digest``: equal where nothing changed; ``contradicting``: ids of what contradicts each other."""

    offers: tuple[Offer, ...]
    needs: tuple[Need, ...]
    documents: int
    failures: int
    contradicting: tuple[str, ...]
    digest: str


class BriefInputs:
    """Reads what briefs are chosen from."""

    def __init__(self, engine: AsyncEngine, cases: CaseStore, failures: FailureStore) -> None:
        self._engine, self._cases, self._failures = engine, cases, failures

    async def of_group(self, group: str, since: datetime | None) -> Inputs:
        """What there is for ``group``; documents that came after ``since`` are new."""
        passages, new = await self._passages(group, since)
        kept = await self._cases.current([group], ("active",))
        rulings = ruling_lines(kept)
        told = {line.spot.source for line in rulings}
        against = await asyncio.to_thread(contradicted, told, [(one.case.id, one.case.content) for one in kept])
        waiting = [one for one in await self._failures.of_groups([group]) if one.standing != "settled"]
        lines = await asyncio.to_thread(_sentences, passages)
        lines += [one for one in rulings if one.spot.source not in against]
        async with reading(self._engine, [group]) as connection:
            open_lines = await unstruck(connection, group, lines)
        needs, disputed = await asyncio.to_thread(needed, waiting)
        named = sorted({*(str(one) for one in against), *disputed})
        texts = {(one.document, one.text_digest) for one in passages}
        about = [
            *(f"document {number} {digest}" for number, digest in texts),
            *(f"ruling {one.case.id} {one.case.version}" for one in kept if one.case.id in told - against),
            *(f"failure {one.id} {one.standing}" for one in waiting),
            f"struck {len(lines) - len(open_lines)}",
        ]
        digest = "sha256:" + hashlib.sha256("\n".join(sorted(about)).encode()).hexdigest()
        offers = tuple(Offer(line, line.spot.source in new) for line in open_lines)
        return Inputs(offers, tuple(needs), len(texts), len(waiting), tuple(named), digest)

    async def _passages(self, group: str, since: datetime | None) -> tuple[list[Found], set[uuid.UUID]]:
        query = (
            select(passage, document.c.title, document.c.digest, document.c.text_digest, document.c.imported)
            .join(document, document.c.id == passage.c.document_id)
            .where(seen_by([group]), document.c.state == "ready")
            .order_by(document.c.imported.desc(), document.c.id, passage.c.ordinal)
            .limit(MOST_PASSAGES)
        )
        async with reading(self._engine, [group]) as connection:
            rows = (await connection.execute(query)).all()
        new = {row.document_id for row in rows if since is not None and row.imported > since}
        return [found_of(row) for row in rows], new


def needed(waiting: Sequence[Failure]) -> tuple[list[Need], set[str]]:
    """What was asked in vain, each as often as its like was asked; and ids of those whose corrections contradict. Pure.

    What a person corrected says what was meant, so its words count with the question's, unless somebody else said
    otherwise.
    """
    if not waiting:
        return [], set()
    disputed = {str(number) for pair in contradicting(waiting) for number in pair}
    clusters = clustered(by_words([one.sent.question for one in waiting]), LEAST_OF_WORDS)
    alike = Counter({at: len(members) for members in clusters for at in members})
    needs = []
    for at, one in enumerate(waiting):
        correction = one.sent.correction if str(one.id) not in disputed else None
        needs.append(Need(one.sent.question, alike[at]))
        if correction:
            needs.append(Need(f"{one.sent.question}\n{correction}", alike[at]))
    return needs, disputed


def _sentences(passages: Sequence[Found]) -> list[Line]:
    return [line for one in passages for line in sentences_of(one)]
