"""What is found in Debian's manuals, how fast, and how fast they come in.

Nothing was tuned on the half of the questions that is held out. The database, the engine, the parser and the embedding
model are the site's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import operator
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count, groupby
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from appliance.memory.access import keeping
from appliance.memory.importing import Importer, Source
from appliance.memory.retrieval import Meaning, Retrieval
from appliance.memory.schema import passage
from appliance.memory.store import Library
from appliance.memory.vectors import Embedder
from tests.bench import plot
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.bench.learning import corpus, ids
from tests.bench.learning.measures import found_within, ndcg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.engine.client import EngineClient
    from appliance.memory.documents import Arrival, Document, Found
    from tests.bench.learning.corpus import Paper
    from tests.bench.learning.questions import Question, Sort

GROUP = "readers"
HARD: Sort = "in other words"
DEPTH = 20
WEIGHTS = (0.2, 0.35, 0.5, 0.7)
Scores = dict[tuple[str, str], list[tuple[float, float]]]
_COPY = (
    "WITH made AS (INSERT INTO passage (document_id, ordinal, first, last, page, headings, body, language, words) "
    "SELECT document_id, 1000000 + (SELECT max(ordinal) FROM passage) + row_number() OVER (), first, last, page, "
    "headings, body, language, words FROM passage ORDER BY id LIMIT :more RETURNING id, document_id) "
    "INSERT INTO passage_vector SELECT made.id, made.document_id, v.embedding FROM made "
    "JOIN (SELECT embedding, row_number() OVER () AS n FROM passage_vector) AS v "
    "ON v.n = 1 + made.id % (SELECT count(*) FROM passage_vector)"
)
FULL = 50_000


async def _entered(_arrival: Arrival, _detail: str) -> None:
    """The log is not what is measured."""


def readers(language: str) -> str:
    """The group that reads the manuals of one language."""
    return f"readers-{language}"


async def take(importer: Importer, files: Mapping[Path, tuple[str, ...]], together: int = 2) -> dict[str, Document]:
    """Import files for groups, two at a time as the command does; documents by path."""
    turns = asyncio.Semaphore(together)
    taken: dict[str, Document] = {}
    begun, done = time.monotonic(), 0

    async def one(path: Path, groups: tuple[str, ...]) -> None:
        nonlocal done
        async with turns:
            with path.open("rb") as file, ids.named(str(path.relative_to(corpus.KEPT))):
                came = await importer.take(Source(file.fileno(), path.name, str(path), groups, "bench"))
        if came.document is not None and came.document.state == "ready":
            taken[str(path)] = came.document
        done += 1
        if done % 50 == 0:
            left = (len(files) - done) * (time.monotonic() - begun) / done / 60
            tell(f"  {done}/{len(files)} documents, about {left:.1f} min left")

    await asyncio.gather(*(one(path, groups) for path, groups in files.items()))
    return taken


def right(question: Question, found: Found, document: Document) -> bool:
    """Whether a passage answers: it is of the page, under the section."""
    if found.document != document.id:
        return False
    return question.section is None or any(_same(question.section, title) for title in found.headings)


def _same(section: str, title: str) -> bool:
    return "".join(filter(str.isalnum, section)) == "".join(filter(str.isalnum, title))


def _source(question: Question, body: str) -> bool:
    flat = " ".join(body.split())
    return question.source is not None and any(part in flat for part in question.source if part)


async def existing(pool: AsyncEngine, question: Question, document: Document) -> int:
    """How many passages answer."""
    async with keeping(pool) as connection:
        query = select(passage.c.headings).where(passage.c.document_id == document.id)
        headings = (await connection.execute(query)).scalars().all()
    return sum(question.section is None or any(_same(question.section, title) for title in one) for one in headings)


async def asked(
    pool: AsyncEngine,
    means: Mapping[str, Meaning],
    asks: list[Question],
    taken: dict[str, Document],
    meaning: float = 1.0,
) -> Scores:
    """Scores by sort and language; a question that ``means`` lacks is looked up by its words alone."""
    retrieval = Retrieval(pool)
    scores: Scores = defaultdict(list)
    sections: dict[tuple[str, str | None], int] = {}
    for question in asks:
        document = taken[question.page]
        key = (question.page, question.section)
        if key not in sections:
            sections[key] = await existing(pool, question, document)
        if not sections[key]:
            continue
        found = await retrieval.found(question.said, means.get(question.said), (GROUP,), DEPTH, meaning)
        judged = [right(question, one, document) for one in found if not _source(question, one.body)]
        scores[question.sort, question.language].append((found_within(judged, 5), ndcg(judged, sections[key])))
    return scores


async def meant(embedder: Embedder, question: str) -> Meaning:
    """The question as the model understands it."""
    return Meaning((await embedder.vectors([question]))[0], await embedder.model())


async def filled(pool: AsyncEngine, passages: int) -> int:
    """Copy what there is, vectors turned a little, until the library holds so many passages; how many it holds then."""
    async with pool.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("SET statement_timeout = 0", "SET sovereign.groups = '*'"):
            await alone.execute(text(statement))
        there: int = (await alone.execute(text("SELECT count(*) FROM passage"))).scalar_one()
        while there < passages:
            await alone.execute(text(_COPY), {"more": passages - there})
            there = (await alone.execute(text("SELECT count(*) FROM passage"))).scalar_one()
        await alone.execute(text("UPDATE word_count SET passages = passages * :times"), {"times": 3})
        await alone.execute(text("VACUUM ANALYZE"))
        await alone.execute(text("RESET sovereign.groups"))
    return there


async def waited(pool: AsyncEngine, embedder: Embedder, asks: list[Question]) -> tuple[list[float], list[float]]:
    """Milliseconds of each question: in all, and without making its vector."""
    retrieval = Retrieval(pool)
    whole, searching = [], []
    for question in asks:
        begun = time.perf_counter()
        means = await meant(embedder, question.said)
        made = time.perf_counter()
        await retrieval.found(question.said, means, (GROUP,), 8)
        whole.append(1000 * (time.perf_counter() - begun))
        searching.append(1000 * (time.perf_counter() - made))
    return whole, searching


def mean(pairs: list[tuple[float, float]], which: int) -> float:
    """The mean of one of the two measures."""
    return statistics.fmean(pair[which] for pair in pairs) if pairs else 0.0


@dataclass
class Manuals:
    """A library of manuals: what was taken, and how fast."""

    pool: AsyncEngine
    client: EngineClient
    taken: dict[str, Document]
    pages_a_second: float | None


async def imported(
    pool: AsyncEngine, client: EngineClient, papers: Sequence[Paper], faq: Sequence[Paper], printed: Sequence[Path]
) -> Manuals:
    """Take in the ``printed`` ones, timed, then ``papers``, and the ``faq``, which is for looking up alone."""
    importer = Importer(Library(pool), Embedder(client, "bench"), _entered)
    speed = await _pages_a_second(importer, printed)
    tell(f"importing {len(papers)} pages of the manuals and {len(faq)} answers to what people ask")
    files = {one.path: (GROUP, readers(one.language)) for one in papers} | {one.path: (GROUP,) for one in faq}
    with ids.seeded():
        taken = await take(importer, files)
    return Manuals(pool, client, taken, speed)


@dataclass(frozen=True)
class Looked:
    """What looking up came to."""

    asks: list[Question]
    both: Scores
    words: Scores
    weights: Mapping[float, Scores] = field(default_factory=dict)
    """What was tried on the half for tuning: how much the ranking by vectors counts beside that by words."""

    @property
    def claims(self) -> list[Claim]:
        """What is found: of what people ask and call things, and of sentences that lead to a section."""
        hard = {key: pairs for key, pairs in self.both.items() if key[0] == HARD}
        usual = {key: pairs for key, pairs in self.both.items() if key[0] != HARD}
        return [*_quality("", usual), *_quality(f", {HARD}", hard)]

    def figures(self) -> dict[str, object]:
        """By sort and language."""
        tried = {"weights": {weight: _by_sort(scores) for weight, scores in self.weights.items()}}
        found = {"questions": len(self.asks), "both": _by_sort(self.both), "words": _by_sort(self.words)}
        return found | (tried if self.weights else {})


async def looked_up(manuals: Manuals, asks: Sequence[Question], limit: int, *, held_out: bool) -> Looked:
    """Ask ``limit`` questions of the half that is ``held_out``, or of the other one; with vectors and without."""
    asks = _spread([q for q in asks if q.held_out == held_out and q.page in manuals.taken], limit)
    tell(f"looking up {len(asks)} questions of {'those held out' if held_out else 'those for tuning'}")
    embedder = Embedder(manuals.client, "bench")
    means = {one.said: await meant(embedder, one.said) for one in asks}
    both = await asked(manuals.pool, means, asks, manuals.taken)
    words = await asked(manuals.pool, {}, asks, manuals.taken)
    tried = () if held_out else WEIGHTS
    weights = {weight: await asked(manuals.pool, means, asks, manuals.taken, weight) for weight in tried}
    return Looked(asks, both, words, weights)


async def timed(manuals: Manuals, asks: list[Question], passages: int) -> tuple[list[Claim], dict[str, object]]:
    """How long a question takes once the library is ``filled``, and what the import took; nothing else follows."""
    tell(f"filling the library to {passages} passages")
    held = await filled(manuals.pool, passages)
    urgent = Embedder(manuals.client, "bench", urgent=True)
    whole, searching = await waited(manuals.pool, urgent, asks[:: max(len(asks) // 60, 1)])
    claims = [at_most(f"question, p50 over {held} passages, its vector included", statistics.median(whole), "ms", 30)]
    if manuals.pages_a_second is not None:
        claims.append(at_least("import of PDF", manuals.pages_a_second, "pages/s", 20))
    figures: dict[str, object] = {
        "documents": len(manuals.taken),
        "passages": sum(one.passages for one in manuals.taken.values()),
        "p50_search_ms": round(statistics.median(searching), 1),
        "p50_whole_ms": round(statistics.median(whole), 1),
    }
    return claims, figures


async def _pages_a_second(importer: Importer, printed: Sequence[Path]) -> float | None:
    """Pages of PDF that come in a second, vectors included; None where there are none."""
    if not printed:
        return None
    tell(f"importing {len(printed)} printed manuals")
    begun = time.perf_counter()
    taken = await take(importer, dict.fromkeys(printed, ("printers",)))
    return sum(one.pages or 0 for one in taken.values()) / (time.perf_counter() - begun)


def _quality(name: str, scores: Scores) -> list[Claim]:
    everything = [pair for pairs in scores.values() for pair in pairs]
    return [
        at_least(f"recall@5{name}", mean(everything, 0), "", 0.85),
        at_least(f"nDCG@10{name}", mean(everything, 1), "", 0.70),
    ]


def _by_sort(scores: Scores) -> dict[str, dict[str, float]]:
    return {
        f"{sort}, {language}": {
            "questions": len(pairs),
            "recall@5": round(mean(pairs, 0), 3),
            "nDCG@10": round(mean(pairs, 1), 3),
        }
        for (sort, language), pairs in sorted(scores.items())
    }


def plotted(both: Scores, words: Scores) -> str:
    """recall@5 of words and vectors beside words alone, for each sort and language."""
    names = sorted(both)
    number = count(1)
    sorts = [
        f"{sort}: {', '.join(f'{next(number)} {of}' for _, of in some)}"
        for sort, some in groupby(names, key=operator.itemgetter(0))
    ]
    title = f"recall@5, {'; '.join(sorts)}"
    columns = {"words and vectors": both, "words alone": words}
    return plot.grouped(title, "", {name: [mean(of[one], 0) for one in names] for name, of in columns.items()})


def _spread(asks: Sequence[Question], limit: int) -> list[Question]:
    """The same number of each sort and language, by the questions' digests."""
    of: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in sorted(asks, key=_order):
        of[question.sort, question.language].append(question)
    each = limit // max(len(of), 1)
    return [question for some in of.values() for question in some[:each]]


def _order(question: Question) -> bytes:
    """An order that is nobody's choice, and not that by which questions were held out."""
    return hashlib.sha256(question.said[::-1].encode()).digest()
