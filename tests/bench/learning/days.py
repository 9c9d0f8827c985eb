"""A day, a night, and the day after: what is asked of the house, and what its answers come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.claims import at_least, tell
from tests.bench.learning import answers, first_token, night, right, verbatim
from tests.bench.learning.library import readers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.learning.cases import Language
    from tests.bench.learning.answers import Arm, Scored, Told
    from tests.bench.learning.course import Found, Scale
    from tests.bench.learning.facts import Half
    from tests.bench.learning.house import Stand
    from tests.bench.learning.kept import KeptEngine
    from tests.bench.learning.library import Manuals


async def answered(  # noqa: PLR0913, PLR0917 - one call
    stand: Stand, engine: KeptEngine, manuals: Manuals, halves: Mapping[Language, Half], scale: Scale, found: Found
) -> None:
    """Day, night, and the day after; then what all its answers cited, and how soon the first token comes."""
    told: list[Told] = []
    held_out = [one for half in halves.values() for one in half.held_out]
    by_day = sum(min(night.ASKED, len(half.learning)) for half in halves.values())
    engine.planned = len(answers.ARMS) * len(held_out) + by_day
    nights: dict[str, str] = {}
    for language, half in halves.items():
        group = next(one for one in stand.site.groups if one.name == readers(language))
        tell(f"a day of {group.name}: {len(half.learning)} questions to learn from")
        sent = await night.day(stand, language, half.learning, told.append)
        judging = await night.judging(stand, group.name)
        engine.planned += 2 * judging if judging >= night.ENOUGH else 0
        tell(f"a night of {group.name}: {sent} answers sent to experts, {judging} cases judge")
        run, outcome = await night.night(stand, group)
        nights[group.name] = f"{outcome}; {(run.figures or {}).get('lines', 0)} lines, {sent} failures"
        tell(f"  {nights[group.name]}")
    digests = await right.carriers(manuals.pool, manuals.taken, held_out)
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
