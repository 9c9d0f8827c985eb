"""The oracle's figures: two hundred questions replayed token for token, and forced ones in full batches."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from appliance.engine.client import EngineClient
from tests.bench.claims import tell
from tests.bench.engine.claims import Claim, judged
from tests.engine import oracle
from tests.engine.llama_server_build import VARIANT
from tests.engine.questions import questions
from tests.engine.served import Sizes, our_engine, plain_llama_server
from tests.engine.widened import widened

if TYPE_CHECKING:
    from tests.bench.engine.contenders import Machine
    from tests.bench.engine.sittings import Sittings

TOKENS = 32
EVERY = 4
AT_ONCE = 16
QUICK_QUESTIONS = 12
SLOT_TOKENS = 1024
WIDE_EVERY = 4
PLANNED = ("words/both", "control/full slots", "wide/both")
"""The measurements: our words and theirs; theirs with their slots full; and both on weights of 16 bits."""


def compare(machine: Machine, sittings: Sittings, *, quick: bool) -> tuple[list[Claim], dict[str, Any]]:
    """Claims, and what they rest on."""
    prompts = [question.prompt for question in questions()][: QUICK_QUESTIONS if quick else None]
    both, control, wide = PLANNED
    found: dict[str, Any] = dict(sittings.measurement(both, functools.partial(_words, machine, prompts)))
    places = [oracle.Place(**place) for place in found.pop("asked")]
    found["theirs"] = sittings.measurement(control, functools.partial(_control, machine, found["split"], places))
    fewer = prompts[::WIDE_EVERY]
    measure = functools.partial(_wide, machine, fewer)
    found["wide"] = {name: value for name, value in sittings.measurement(wide, measure).items() if name != "asked"}
    return [*_claims(len(prompts), found), *_wide_claims(len(fewer), found["wide"])], found


def _wide(machine: Machine, prompts: list[str]) -> dict[str, Any]:
    return _words(replace(machine, model=widened(machine.model)), prompts, oracle.WIDE_MARGIN)


def _words(machine: Machine, prompts: list[str], margin: float = oracle.MARGIN) -> dict[str, Any]:
    """Our engine's words beside llama-server's, replayed and forced."""
    sizes = Sizes(context_tokens=4096, threads=machine.threads, queue=4096, memory_mib=3000)
    with our_engine(machine.model, sizes, variant=VARIANT) as ours:
        split = oracle.split(ours.socket)
        flags = oracle.flags(machine.threads, split)
        with plain_llama_server(machine.model, machine.server, flags) as theirs:
            compared = _compared(oracle.Oracle(theirs.socket), EngineClient(ours.socket), prompts, margin)
            return {"split": split, **asyncio.run(compared)}


def _control(machine: Machine, split: int, places: list[oracle.Place]) -> list[dict[str, Any]]:
    slots = (*oracle.flags(machine.threads, split, AT_ONCE * SLOT_TOKENS), "--parallel", str(AT_ONCE))
    with plain_llama_server(machine.model, machine.server, slots) as theirs:
        return asyncio.run(_by_itself(oracle.Oracle(theirs.socket), places))


async def _by_itself(server: oracle.Oracle, places: list[oracle.Place]) -> list[dict[str, Any]]:
    """What batches alone change: llama-server's own choices, with its slots full, that differ from its answers."""
    async with server:
        differences = await server.forced(places, AT_ONCE)
    tell(f"forced, llama-server itself: {len(differences)} of {len(places)} tokens differ")
    return [asdict(difference) for difference in differences]


async def _compared(server: oracle.Oracle, client: EngineClient, prompts: list[str], margin: float) -> dict[str, Any]:
    async with server, client:
        references = [await server.reference(prompt, TOKENS) for prompt in prompts]
        answers = [await oracle.replay(client, reference.prompt, TOKENS) for reference in references]
        pairs = zip(references, answers, strict=True)
        changed = [(r, a) for r, a in pairs if not oracle.same(r, a)]
        tell(f"replay: {len(prompts) - len(changed)} of {len(prompts)} answers are the same, token for token")
        places = [place for reference in references for place in await server.places(reference, EVERY)]
        differences = await oracle.forced(client, places, AT_ONCE)
        faults = oracle.faults(differences, margin)
        tell(f"forced: {len(differences)} of {len(places)} tokens differ, {len(faults)} beyond the margin")
    return {
        "replayed": len(prompts),
        "changed": [{"prompt": r.prompt, "theirs": r.text, "ours": a.text} for r, a in changed],
        "places": len(places),
        "differences": [asdict(difference) for difference in differences],
        "faults": len(faults),
        "largest_margin": max((difference.place.margin for difference in differences), default=0.0),
        "asked": [asdict(place) for place in places],
    }


def _claims(count: int, found: dict[str, Any]) -> list[Claim]:
    same = count - len(found["changed"])
    agreed = oracle.agreement(found["places"], found["differences"])
    beyond = f"forced tokens that differ where the best two are more than {oracle.MARGIN} apart"
    theirs = oracle.agreement(found["places"], found["theirs"])
    forced = f"forced tokens, {AT_ONCE} at once, same as llama-server"
    control = f"llama-server's own, {AT_ONCE} at once, are the same as one at a time in {theirs:.4f}"
    return [
        judged(f"replay of {count} questions, token for token", same / count, "share", ">=", 1.0),
        replace(judged(forced, agreed, "share", ">=", 0.995), note=control),
        judged(beyond, found["faults"], "tokens", "<=", 0),
    ]


def _wide_claims(count: int, found: dict[str, Any]) -> list[Claim]:
    """The same of weights with 16 bits, where rounding explains next to nothing."""
    same = count - len(found["changed"])
    agreed = oracle.agreement(found["places"], found["differences"])
    forced = f"forced tokens, {AT_ONCE} at once, weights of 16 bits, same as llama-server"
    beyond = f"the same, that differ where the best two are more than {oracle.WIDE_MARGIN} apart"
    return [
        judged(f"replay of {count} questions, weights of 16 bits, token for token", same / count, "share", ">=", 1.0),
        judged(forced, agreed, "share", ">=", 0.995),
        judged(beyond, found["faults"], "tokens", "<=", 0),
    ]
