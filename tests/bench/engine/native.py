"""One stream beside a llama-server that was built for this very processor: what shipping for all processors costs."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.claims import tell
from tests.bench.engine import rounds
from tests.bench.engine.claims import Claim, judged
from tests.bench.engine.contenders import OURS, Machine
from tests.bench.engine.figures import median, ratios
from tests.engine.llama_server_build import build_llama_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.engine.loads import Figures, Scale
    from tests.bench.engine.sittings import Sittings

NATIVE = "native llama-server"


def planned(rounds: int) -> list[str]:
    """The measurements of ``compare``."""
    return [f"native/{number}" for number in range(1, rounds + 1)]


def compare(machine: Machine, scale: Scale, flags: str, sittings: Sittings) -> Iterator[Claim]:
    """Both claims about one stream; ``flags`` is the set that is best for it. Compiles for minutes where it must."""
    native = Machine(machine.model, build_llama_server(native=True), machine.threads)
    machine = replace(machine, variant=None)
    found: dict[str, list[Figures]] = {OURS: [], NATIVE: []}
    for number, name in enumerate(planned(scale.rounds)):
        both = sittings.measurement(name, functools.partial(_both, machine, native, scale, flags, number))
        for who, figures in both.items():
            found[who].append(figures)
    unit = f"{OURS}/{NATIVE}"
    for figure, sign, bound in (("tok_s", ">=", 0.97), ("first_s", "<=", 1.05)):
        value = median(ratios(*([one[figure] for one in found[who]] for who in (OURS, NATIVE))))
        yield judged(f"one stream beside a natively built llama-server, {figure}", value, unit, sign, bound)  # type: ignore[arg-type]  # both signs are literals above


def _both(machine: Machine, native: Machine, scale: Scale, flags: str, number: int) -> dict[str, Figures]:
    turns = [(OURS, machine, None), (NATIVE, native, flags)]
    both = {
        who: rounds.once(one, "one_stream", scale, chosen)
        for who, one, chosen in (turns if number % 2 == 0 else reversed(turns))
    }
    tell(f"native, round {number + 1}: {both[OURS]['tok_s']:.1f} / {both[NATIVE]['tok_s']:.1f} tok/s")
    return both
