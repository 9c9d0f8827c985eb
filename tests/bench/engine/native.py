"""One stream beside a llama-server that was built for this very processor: what shipping for all processors costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.engine import rounds
from tests.bench.engine.claims import Claim, judged
from tests.bench.engine.contenders import OURS, Machine
from tests.bench.engine.figures import median, ratios
from tests.engine.llama_server_build import build_llama_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.engine.loads import Scale

NATIVE = "native llama-server"


def compare(machine: Machine, scale: Scale, flags: str) -> Iterator[Claim]:
    """Both claims about one stream; ``flags`` is the set that is best for it. Compiles for minutes where it must."""
    native = Machine(machine.model, build_llama_server(native=True), machine.threads)
    found: dict[str, list[dict[str, float]]] = {OURS: [], NATIVE: []}
    for number in range(scale.rounds):
        turns = [(OURS, machine, None), (NATIVE, native, flags)]
        for who, one, chosen in turns if number % 2 == 0 else reversed(turns):
            found[who].append(rounds.once(one, "one_stream", scale, chosen))
        rounds.tell(
            f"native, round {number + 1}: {found[OURS][-1]['tok_s']:.1f} / {found[NATIVE][-1]['tok_s']:.1f} tok/s"
        )
    unit = f"{OURS}/{NATIVE}"
    for figure, sign, bound in (("tok_s", ">=", 0.97), ("first_s", "<=", 1.05)):
        value = median(ratios(*([one[figure] for one in found[who]] for who in (OURS, NATIVE))))
        yield judged(f"one stream beside a natively built llama-server, {figure}", value, unit, sign, bound)  # type: ignore[arg-type]  # both signs are literals above
