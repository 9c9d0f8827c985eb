"""`make bench-learning`: what documents, a night and the loop are worth, on Debian's manuals in three languages.

Everything that is claimed of the learning half of the appliance stands in one JSON object, the last line; a plot lies
beside it. What was not measured in a run is named there with its cause, and nothing is left out. Answers are kept by
what they depend on, so that a run that was ended goes on where it was; ``--quick`` tries all of it in minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog

from appliance.engine.client import EngineClient
from appliance.gateway import database
from appliance.gateway.schema_upgrade import migrate
from appliance.learning.errors import CalibrationError
from appliance.memory.vectors import USES
from tests.bench.claims import at_least, tell
from tests.bench.confidence.__main__ import measured as confidence_measured
from tests.bench.learning import (
    corpus,
    days,
    documents,
    facts,
    house,
    library,
    models,
    people,
    rollback,
    waiting,
)
from tests.bench.learning.course import FULL, QUICK, Found, Scale
from tests.bench.learning.drawing import drawn
from tests.bench.learning.kept import KeptEngine
from tests.bench.learning.kept_vectors import KeptVectors
from tests.bench.learning.questions import SORTS, questions
from tests.engine.served import Sizes, our_engine
from tests.gateway import postgres
from tests.gateway.doubles import receipt
from tests.learning.seeded_changes import NEUTRAL_OR_BETTER, REGRESSIONS, neutral_or_better, regression
from tests.memory.labelled import SOUND, UNSOUND, agreement

if TYPE_CHECKING:
    from tests.bench.learning.models import Weights

OUT = Path("bench-learning.svg")
KEPT = Path.home() / ".cache" / "sovereign" / "bench" / "learning-answers.jsonl"
VECTORS = KEPT.with_name("learning-vectors.sqlite")
Only = Literal["tuning", "lookups"] | None
CHAT_SIZES = {"context_tokens": 4096, "parallel": 4, "memory_mib": 1200}


def main() -> None:
    """Measure, print progress on stderr and claims on stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="try all of it, in minutes; what it finds is no figure")
    options.add_argument("--tune", action="store_true", help="look up the half that may be tuned on, and no more")
    options.add_argument("--lookups", action="store_true", help="find passages and time it, and ask for no answer")
    options.add_argument("--fresh", action="store_true", help="ask everything again")
    options.add_argument("--threads", type=int, default=2, help="of the engines")
    options.add_argument(
        "--embedding", choices=models.EMBEDDINGS, default=models.EMBEDDING, help="an embedding model that sources/ has"
    )
    options.add_argument("--meaning", type=float, default=1.0, help="the site's documents.meaning in all that is asked")
    options.add_argument("--model", type=Path, help="instead of those, an embedding model's GGUF")
    options.add_argument(
        "--prompts",
        nargs=2,
        metavar=("QUERY", "DOCUMENT"),
        help="what that model reads before a question and a passage",
    )
    options.add_argument("--unrelated", type=int, metavar="PERCENT", help="that model's, as a --tune says it")
    options.add_argument("--manuals", nargs="+", help="only these, with --tune: a smaller library is imported sooner")
    given = options.parse_args()
    if given.manuals and not given.tune:
        options.error("--manuals goes with --tune: the claims are made of all manuals")
    if given.model is None and (given.prompts, given.unrelated) != (None, None):
        options.error("--prompts and --unrelated are of a --model: one of sources/ has its record")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors
    scale = replace(QUICK if given.quick else FULL, meaning=given.meaning)
    if given.lookups:
        scale = replace(scale, printed=False)
    if given.manuals:
        scale = replace(scale, manuals=tuple(given.manuals), printed=False)
    if given.fresh:
        for kept in (KEPT, VECTORS):
            kept.unlink(missing_ok=True)
    found = Found()
    try:
        _run(scale, given, found)
    except KeyboardInterrupt:
        tell(f"ended; answers are kept in {KEPT}, and the next run goes on there")
        sys.exit(130)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "system": platform.platform()}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    result = {"machine": machine, "peak_mib": peak, "quick": given.quick, "rounds": found.figures}
    result |= {"not_measured": found.missing, "claims": [asdict(claim) for claim in found.claims]}
    OUT.write_text(drawn(found.plots))
    sys.stdout.write(json.dumps(result, default=str) + "\n")


def _run(scale: Scale, given: argparse.Namespace, found: Found) -> None:
    chat = models.found(models.CHAT)
    vectors = models.found(given.embedding) if given.model is None else models.named(given.model, _says(given))
    if not given.tune:
        _pure(found)
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-learning-")))
        sizes = Sizes(context_tokens=512, threads=given.threads)
        found.figures["embedding model"] = {"digest": vectors.digest, **vectors.says, "meaning": given.meaning}
        made = {"digest": vectors.digest}
        serving = our_engine(vectors.path, sizes, role="embedding", receipt=made, says=vectors.says)
        embedding = stack.enter_context(serving)
        said = receipt(house.MODEL) | {"digest": chat.digest}
        state = folder / "engine"
        state.mkdir()
        serving = our_engine(
            chat.path, Sizes(threads=given.threads, **CHAT_SIZES), state, receipt=said, template=models.template()
        )
        asked = stack.enter_context(serving)
        only: Only = "tuning" if given.tune else "lookups" if given.lookups else None
        asyncio.run(_measured(cluster, folder, (asked.socket, embedding.socket), chat, scale, only, found))
    if only is None:
        _confidence(chat, scale, given.threads, found)


def _says(given: argparse.Namespace) -> dict[str, Any]:
    """Of an embedding model of one's own, what its record would."""
    prompts = {} if given.prompts is None else {"prompts": dict(zip(USES, given.prompts, strict=True))}
    return prompts if given.unrelated is None else prompts | {"unrelated_percent": given.unrelated}


def _pure(found: Found) -> None:
    """What needs no engine: the rule on claims, and the gate."""
    labels = {"labels": len(SOUND) + len(UNSOUND)}
    found.took("claims on labels", [at_least("claims marked as people label them", agreement(), "share", 0.85)], labels)
    stopped = {name: not regression(name).passed for name in REGRESSIONS}
    passed = {name: neutral_or_better(name).passed for name in NEUTRAL_OR_BETTER}
    claims = [
        at_least(f"regressions that the gate stops, of {len(stopped)}", sum(stopped.values()), "", len(stopped)),
        at_least(f"neutral or better changes that pass, of {len(passed)}", sum(passed.values()), "", len(passed)),
    ]
    found.took("gate", claims, {"stopped": stopped, "passed": passed, "seeds": [1, 11, 22, 33]})


async def _measured(  # noqa: PLR0913, PLR0917 - private; one call
    cluster: postgres.Cluster,
    folder: Path,
    sockets: tuple[Path, Path],
    chat: Weights,
    scale: Scale,
    only: Only,
    found: Found,
) -> None:
    pool = database.connect(cluster.socket_dir, postgres.PORT, postgres.PASSWORD)
    await migrate(pool)
    tree = await asyncio.to_thread(corpus.fetched)
    papers = [one for one in corpus.papers(tree) if one.manual in scale.manuals and one.language in scale.languages]
    faq = await asyncio.to_thread(corpus.unpacked, "faq", corpus.ASKED)
    asked = [one for one in people.asked(faq, corpus.KEPT / "asked") if one.paper.language in scale.languages]
    async with EngineClient(sockets[1]) as vectors, EngineClient(sockets[0]) as real:
        printed = corpus.printed(tree) if scale.printed else ()
        with closing(KeptVectors(vectors, VECTORS)) as kept:
            manuals = await library.imported(pool, (vectors, kept), papers, [one.paper for one in asked], printed)
            asks = [*questions(papers), *(one.question for one in asked if one.question is not None)]
            looked = await documents.looked_up(manuals, asks, scale.looked_up, scale.meaning, held_out=only != "tuning")
            found.took("documents", looked.claims, looked.figures())
            found.missing |= {f"looking up: {one}": "no such question" for one in SORTS if one not in looked.sorts}
            found.plots["looked"] = looked
            if only is None:
                of_manuals = [one for one in questions(papers) if one.page in manuals.taken]
                halves = {one: facts.half(of_manuals, one, scale.learning, scale.held_out) for one in scale.languages}
                engine = KeptEngine(real, KEPT, chat.digest)
                async with house.opened(pool, folder, engine, sockets, scale) as stand:
                    await days.answered(stand, engine, manuals, halves, scale, found)
                found.took("rollback", [rollback.claim(await rollback.seconds(pool, folder / "rollback"))])
            elif only == "lookups":
                found.missing["answers, rollback, confidence"] = "--lookups asks for none"
            found.took("speed", *await waiting.timed(manuals, looked.asks, scale))
            if manuals.speed is None:
                found.missing["import of PDF"] = "this way imports none"
    await pool.dispose()


def _confidence(chat: Weights, scale: Scale, threads: int, found: Found) -> None:
    """As `make bench-confidence` has it; its kept answers are gone on with, for so many minutes."""
    tell("confidence, as `make bench-confidence` measures it")
    try:
        claims, told = confidence_measured(chat.path, 300, scale.minutes_of_confidence, threads)
    except CalibrationError as error:
        found.missing["expected calibration error"] = f"{error.cause}; run again, or `make bench-confidence`"
        return
    found.took("confidence", claims, told)


if __name__ == "__main__":
    main()
