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
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from appliance.engine.client import EngineClient
from appliance.gateway import database
from appliance.gateway.schema_upgrade import migrate
from appliance.learning.errors import CalibrationError
from tests.bench.claims import Claim, at_least, tell
from tests.bench.confidence.__main__ import measured as confidence_measured
from tests.bench.learning import (
    answers,
    corpus,
    documents,
    facts,
    first_token,
    house,
    models,
    night,
    people,
    rollback,
    verbatim,
)
from tests.bench.learning.drawing import drawn
from tests.bench.learning.kept import KeptEngine
from tests.bench.learning.questions import questions
from tests.engine.served import Sizes, our_engine
from tests.gateway import postgres
from tests.gateway.doubles import receipt
from tests.learning.seeded_changes import NEUTRAL_OR_BETTER, REGRESSIONS, neutral_or_better, regression
from tests.memory.labelled import SOUND, UNSOUND, agreement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.learning.cases import Language
    from tests.bench.learning.answers import Arm, Scored, Told
    from tests.bench.learning.documents import Manuals
    from tests.bench.learning.facts import Half
    from tests.bench.learning.house import Stand
    from tests.bench.learning.models import Weights

OUT = Path("bench-learning.svg")
KEPT = Path.home() / ".cache" / "sovereign" / "bench" / "learning-answers.jsonl"
CHAT_SIZES = {"context_tokens": 4096, "parallel": 4, "memory_mib": 1200}


@dataclass(frozen=True)
class Scale:
    """How much of everything is asked."""

    manuals: tuple[str, ...] = ("handbook", "reference", "developers")
    languages: tuple[Language, ...] = ("en", "fr", "de")
    looked_up: int = 900
    passages: int = 50_000
    learning: int = 32
    held_out: int = 70
    turns: int = 15
    minutes_of_confidence: float = 12
    printed: bool = True


FULL = Scale()
QUICK = Scale(("developers",), ("en",), 40, 3_000, 8, 10, 4, 0.4, printed=False)


@dataclass
class Found:
    """What a run came to. ``missing``: what it did not measure, and why."""

    claims: list[Claim] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    plots: dict[str, Any] = field(default_factory=dict)

    def took(self, name: str, claims: list[Claim], figures: Mapping[str, Any] | None = None) -> None:
        """Keep a part's claims and figures."""
        self.claims += claims
        self.figures[name] = dict(figures or {})
        for claim in claims:
            tell(f"{claim.name}: {claim.value} {claim.unit} ({'holds' if claim.holds else 'DOES NOT HOLD'})")


def main() -> None:
    """Measure, print progress on stderr and claims on stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="try all of it, in minutes; what it finds is no figure")
    options.add_argument("--tune", action="store_true", help="look up the half that may be tuned on, and no more")
    options.add_argument("--fresh", action="store_true", help="ask everything again")
    options.add_argument("--threads", type=int, default=2, help="of the engines")
    options.add_argument("--model", type=Path, help="an embedding model's GGUF; without it, the release's own is found")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors
    scale = QUICK if given.quick else FULL
    if given.fresh:
        KEPT.unlink(missing_ok=True)
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
    vectors = given.model or models.found(models.EMBEDDING).path
    if not given.tune:
        _pure(found)
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-learning-")))
        sizes = Sizes(context_tokens=512, threads=given.threads)
        embedding = stack.enter_context(our_engine(vectors, sizes, role="embedding"))
        said = receipt(house.MODEL) | {"digest": chat.digest}
        state = folder / "engine"
        state.mkdir()
        serving = our_engine(
            chat.path, Sizes(threads=given.threads, **CHAT_SIZES), state, receipt=said, template=models.template()
        )
        asked = stack.enter_context(serving)
        asyncio.run(_measured(cluster, folder, (asked.socket, embedding.socket), chat, scale, given.tune, found))
    if not given.tune:
        _confidence(chat, scale, given.threads, found)


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
    tune: bool,  # noqa: FBT001 - as above
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
        manuals = await documents.imported(pool, vectors, papers, [one.paper for one in asked], printed)
        asks = [*questions(papers), *(one.question for one in asked if one.question is not None)]
        looked = await documents.looked_up(manuals, asks, scale.looked_up, held_out=not tune)
        found.took("documents", looked.claims, looked.figures())
        found.plots["looked"] = looked
        if not tune:
            of_manuals = [one for one in questions(papers) if one.page in manuals.taken]
            halves = {one: facts.half(of_manuals, one, scale.learning, scale.held_out) for one in scale.languages}
            engine = KeptEngine(real, KEPT, chat.digest)
            async with house.opened(pool, folder, engine, sockets, scale.languages) as stand:
                await _answered(stand, engine, manuals, halves, scale, found)
            found.took("rollback", [rollback.claim(await rollback.seconds(pool, folder / "rollback"))])
        found.took("speed", *await documents.timed(manuals, looked.asks, scale.passages))
        if manuals.pages_a_second is None:
            found.missing["import of PDF"] = "the quick way imports none"
    await pool.dispose()


async def _answered(  # noqa: PLR0913, PLR0917 - private; one call
    stand: Stand, engine: KeptEngine, manuals: Manuals, halves: Mapping[Language, Half], scale: Scale, found: Found
) -> None:
    """Day, night, and the day after; then what all its answers cited, and how soon the first token comes."""
    told: list[Told] = []
    held_out = [one for half in halves.values() for one in half.held_out]
    engine.planned = 3 * len(held_out) + sum(min(night.ASKED, len(half.learning)) for half in halves.values())
    nights: dict[str, str] = {}
    for language, half in halves.items():
        group = next(one for one in stand.site.groups if one.name == documents.readers(language))
        tell(f"a day of {group.name}: {len(half.learning)} questions to learn from")
        sent = await night.day(stand, language, half.learning, told.append)
        judging = await night.judging(stand, group.name)
        engine.planned += 2 * judging if judging >= night.ENOUGH else 0
        tell(f"a night of {group.name}: {sent} answers sent to experts, {judging} cases judge")
        run, outcome = await night.night(stand, group)
        nights[group.name] = f"{outcome}; {(run.figures or {}).get('lines', 0)} lines, {sent} failures"
        tell(f"  {nights[group.name]}")
    digests = {page: document.digest for page, document in manuals.taken.items()}
    scores: dict[Arm, list[Scored]] = {}
    for arm in answers.ARMS:
        scores[arm] = await answers.asked(stand, held_out, arm, digests, told.append)
    found.took("answers", answers.claims(scores), answers.figures(scores) | {"nights": nights})
    found.plots["scores"] = scores
    await _cited(stand, manuals, told, found)
    engine.live = True
    await _first_token(stand, [one.question for one in held_out][: scale.turns], found)


async def _cited(stand: Stand, manuals: Manuals, told: list[Told], found: Found) -> None:
    paths = {document.id: Path(page) for page, document in manuals.taken.items()}
    tell("reading again what was cited")
    checked = await verbatim.checked(stand, told, paths)
    figures = {"answers": checked.answers, "citations": checked.citations, "wrong": checked.wrong[:10]}
    if checked.citations:
        found.took("citations", [at_least("cited passages that are verbatim", checked.share, "share", 1.0)], figures)
    else:
        found.missing["cited passages that are verbatim"] = "no answer of this run cited anything"


async def _first_token(stand: Stand, asks: list[str], found: Found) -> None:
    """With the first brief there is; one that the gate refused serves here as well, since its words do not matter."""
    for group in (one for one in stand.site.groups if one.brief):
        runs = [one for one in await stand.desk.store.listed([group.name]) if one.state in {"in_force", "refused"}]
        if not runs:
            continue
        if runs[0].state == "refused":
            await night.accepted(stand, group, runs[0])
        brief = await stand.desk.store.in_force(group.name)
        assert brief is not None
        turns = await first_token.measured(stand, group.name, brief.text, asks)
        found.plots["turns"] = turns
        if turns.real:
            found.took("first token", turns.claims, turns.figures())
        else:
            found.figures["first token"] = turns.figures()
            found.missing["first token, pinned brief over pasted"] = (
                "what was pinned was computed, or what was pasted not"
            )
        return
    found.missing["first token, pinned brief over pasted"] = "no night of this run gave a brief"


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
