"""`make bench-learning`: documents, so far. What is found in Debian's manuals, how fast, and how fast they come in.

Nothing was tuned on the half of the questions that is held out; ``--tune`` tells of the other half. The last line is
JSON; a plot lies beside it. The database, the engine, the parser and the embedding model are the site's own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from appliance.engine.client import EngineClient
from appliance.gateway import database
from appliance.gateway.schema_upgrade import migrate
from appliance.memory.access import keeping
from appliance.memory.importing import Importer, Source
from appliance.memory.retrieval import Meaning, Retrieval
from appliance.memory.schema import passage
from appliance.memory.store import Library
from appliance.memory.vectors import Embedder
from tests.bench import plot
from tests.bench.claims import Claim, at_least, at_most, tell
from tests.bench.learning import corpus
from tests.bench.learning.measures import found_within, ndcg
from tests.bench.learning.questions import Question, questions
from tests.engine.served import Sizes, our_engine
from tests.gateway import postgres

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.memory.documents import Arrival, Document, Found

OUT = Path("bench-learning.svg")
GROUP = "readers"
DEPTH = 20
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


async def take(importer: Importer, paths: list[Path], group: str, together: int = 2) -> dict[str, Document]:
    """Import files, two at a time as the command does; documents by path."""
    turns = asyncio.Semaphore(together)
    taken: dict[str, Document] = {}

    async def one(path: Path) -> None:
        async with turns:
            with path.open("rb") as file:
                done = await importer.take(Source(file.fileno(), path.name, str(path), (group,), "bench"))
        if done.document is not None and done.document.state == "ready":
            taken[str(path)] = done.document
        if len(taken) % 50 == 0:
            tell(f"  {len(taken)}/{len(paths)}")

    await asyncio.gather(*(one(path) for path in paths))
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
    pool: AsyncEngine, embedder: Embedder | None, asks: list[Question], taken: dict[str, Document]
) -> tuple[Scores, list[float]]:
    """Scores by sort and language, and the time of each question in milliseconds (the vector's included)."""
    retrieval = Retrieval(pool)
    scores: Scores = defaultdict(list)
    times = []
    sections: dict[tuple[str, str | None], int] = {}
    for question in asks:
        document = taken[question.page]
        key = (question.page, question.section)
        if key not in sections:
            sections[key] = await existing(pool, question, document)
        if not sections[key]:
            continue
        begun = time.perf_counter()
        means = await meant(embedder, question.said) if embedder is not None else None
        found = await retrieval.found(question.said, means, (GROUP,), DEPTH)
        times.append(1000 * (time.perf_counter() - begun))
        judged = [right(question, one, document) for one in found if not _source(question, one.body)]
        scores[question.sort, question.language].append((found_within(judged, 5), ndcg(judged, sections[key])))
    return scores, times


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


def main() -> None:
    """Measure, print progress on stderr and claims on stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("--tune", action="store_true", help="ask the half that may be tuned on")
    options.add_argument("--limit", type=int, default=0, help="ask so many questions only")
    options.add_argument("--passages", type=int, default=FULL, help="fill up to so many passages before timing")
    options.add_argument("--manual", action="append", help="only this one: handbook, reference or developers")
    options.add_argument("--threads", type=int, default=2, help="of the engine")
    options.add_argument("--model", type=Path, required=True, help="the embedding model's GGUF, from a release's store")
    given = options.parse_args()
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster())
        engine = stack.enter_context(
            our_engine(given.model, Sizes(context_tokens=512, threads=given.threads), role="embedding")
        )
        claims, figures, drawn = asyncio.run(_measured(cluster, engine.socket, given))
    OUT.write_text(drawn)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "system": platform.platform()}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    result = {"machine": machine, "peak_mib": peak, "rounds": figures, "claims": [asdict(claim) for claim in claims]}
    sys.stdout.write(json.dumps(result, default=str) + "\n")


async def _measured(
    cluster: postgres.Cluster, socket: Path, given: argparse.Namespace
) -> tuple[list[Claim], dict[str, object], str]:
    pool = database.connect(cluster.socket_dir, postgres.PORT, postgres.PASSWORD)
    await migrate(pool)
    client = EngineClient(socket)
    embedder = Embedder(client, "bench")
    tree = await asyncio.to_thread(corpus.fetched)
    papers = [paper for paper in corpus.papers(tree) if not given.manual or paper.manual in given.manual]
    importer = Importer(Library(pool), embedder, _entered)
    speed = await _pages_a_second(importer, corpus.printed(tree))
    tell("importing the manuals")
    taken = await take(importer, [paper.path for paper in papers], GROUP)
    asks = [q for q in questions(papers) if q.held_out != given.tune and q.page in taken]
    asks = _spread(asks, given.limit or 600)
    tell(f"asking {len(asks)} questions of {'those for tuning' if given.tune else 'those held out'}")
    both = await asked(pool, embedder, asks, taken)
    words = await asked(pool, None, asks, taken)
    held = await filled(pool, given.passages)
    whole, searching = await waited(pool, Embedder(client, "bench", urgent=True), asks[:: max(len(asks) // 60, 1)])
    await pool.dispose()
    await client.aclose()
    claims = [
        *_quality("", both),
        at_most(f"question, p50 over {held} passages, its vector included", statistics.median(whole), "ms", 30),
        at_least("import of PDF", speed, "pages/s", 20),
    ]
    figures = {
        "questions": len(asks),
        "documents": len(taken),
        "passages": sum(one.passages for one in taken.values()),
        "both": _by_sort(both),
        "words": _by_sort(words),
        "p50_search_ms": round(statistics.median(searching), 1),
        "p50_whole_ms": round(statistics.median(whole), 1),
    }
    return claims, figures, plotted(both, words)


async def _pages_a_second(importer: Importer, printed: list[Path]) -> float:
    """Pages of PDF that come in a second, vectors included."""
    tell("importing the printed manuals")
    begun = time.perf_counter()
    taken = await take(importer, printed, "printers")
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
    title = "recall@5: " + ", ".join(f"{number} {sort} ({of})" for number, (sort, of) in enumerate(names, start=1))
    columns = {"words and vectors": both, "words alone": words}
    return plot.grouped(title, "", {name: [mean(of[one], 0) for one in names] for name, of in columns.items()})


def _spread(asks: list[Question], limit: int) -> list[Question]:
    """The same number of each sort and language, by the questions' digests."""
    of: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in sorted(asks, key=_order):
        of[question.sort, question.language].append(question)
    each = limit // max(len(of), 1)
    return [question for some in of.values() for question in some[:each]]


def _order(question: Question) -> bytes:
    """An order that is nobody's choice, and not that by which questions were held out."""
    return hashlib.sha256(question.said[::-1].encode()).digest()


if __name__ == "__main__":
    main()
