"""A client that goes away costs nothing after the step under way: no row, no sampler, no cell that is not parked."""

from __future__ import annotations

import pytest

from tests.engine.batches import Asked, Desk
from tests.engine.quoted import letters, right
from tests.engine.quoting_context import QuotingContext

PROMPT = letters(2, 60)
MOMENTS = ("reading", "streaming", "waiting for another's reading")


def _at(moment: str, desk: Desk, *, kept: bool) -> Asked:
    """Somebody who is at ``moment`` now, beside whoever is there already."""
    if moment == "waiting for another's reading":
        desk.ask(PROMPT, user="analyst", most=60)
        desk.batcher.step()
    asked = desk.ask(PROMPT, user="analyst", most=60, kept=kept)
    desk.batcher.step()
    while moment == "streaming" and not asked.text:
        desk.batcher.step()
    (resident,) = [r for r in desk.batcher._residents if r.job is asked.job]
    assert (bool(resident.flight), bool(asked.text)) == (moment == MOMENTS[2], moment == MOMENTS[1])
    return asked


def _owned(desk: Desk) -> int:
    """Cells of who is at work and of what is parked, each once."""
    held = (*desk.batcher._residents, *desk.batcher._cache.holdings)
    return len({cell for one in held for cell in desk.batcher._store.cells_of(one.pair)})


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("moment", MOMENTS)
def test_who_leaves_is_gone_with_the_next_step_and_nobody_else_notices(moment: str, *, kept: bool) -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=4)
    officer = desk.ask(letters(1), user="officer", most=60)
    while not officer.text:
        desk.batcher.step()
    asked = _at(moment, desk, kept=kept)
    others = [job for job in desk.batcher.running if job is not asked.job]
    batches = len(context.batches)
    asked.job.cancelled.set()
    desk.batcher.step()
    assert asked.end.finish_reason == "cancelled"
    assert list(desk.batcher.running) == others
    assert desk.queue.status().running == len(others)
    pairs = {resident.pair for resident in desk.batcher._residents}
    assert {piece.sequences for batch in context.batches[batches:] for piece in batch} <= pairs
    assert context.samplers == sum(resident.answering.drawn > 0 for resident in desk.batcher._residents)
    assert desk.batcher._store.live == context.whole.used == _owned(desk)
    desk.run()
    assert right(officer)
    assert context.samplers == 0
    assert desk.batcher._store.live == context.whole.used == _owned(desk)


@pytest.mark.parametrize("moment", ["reading", "streaming"])
def test_who_leaves_and_is_not_kept_leaves_pairs_and_cells_as_they_were(moment: str) -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=4)
    desk.run(desk.ask(letters(1), user="officer"))

    def there() -> tuple[object, ...]:
        store, cache = desk.batcher._store, desk.batcher._cache
        return store.pairs, store.live, cache.holdings, context.whole.used, context.sliding.used, context.samplers

    before = there()
    asked = _at(moment, desk, kept=False)
    assert there() != before
    asked.job.cancelled.set()
    desk.batcher.step()
    assert asked.over
    assert there() == before
    kept = _at(moment, desk, kept=True)
    kept.job.cancelled.set()
    desk.batcher.step()
    assert len(desk.batcher._cache.holdings) == len(before[2]) + 1, "what is kept would be seen"  # type: ignore[arg-type]
