"""A batch for which llama.cpp finds no cells changes nothing: what the engine relies on when it makes room."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from appliance.engine.context import Piece
from appliance.engine.errors import NoRoomError
from appliance.engine.llama import LlamaContext
from tests.engine import gpu
from tests.engine.small_model import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.engine.llama_sampler import Logits

FIRST, SECOND, THIRD = (0, 1), (2, 3), (4, 5)
TEXT = tuple(3 + (n * n + 5 * n) % 250 for n in range(200))
ROUNDING, OTHER = 1e-3, 0.1


@pytest.fixture
def context(tmp_path: Path) -> Iterator[LlamaContext]:
    fd = os.open(write(tmp_path / "small.gguf"), os.O_RDONLY)
    made = LlamaContext(fd, context_tokens=200, threads=1, budget_mib=gpu.room(200))
    yield made
    made.close()
    os.close(fd)


def _extents(context: LlamaContext) -> list[tuple[int, int]]:
    return [context.extent(sequence) for sequence in range(context.sequences)]


def _next(context: LlamaContext, owners: tuple[int, int], at: int) -> Logits:
    (row,) = context.decode([Piece((TEXT[at],), at, owners, sampled=True)])
    return context.logits(row)


def _filled(context: LlamaContext) -> None:
    """All cells but a few are in use, by two of whom one begins as the other does."""
    context.clear()
    context.decode([Piece(TEXT[:120], 0, FIRST, sampled=False)])
    for sequence in SECOND:
        context.share(FIRST[0], sequence, 60)
    context.decode([Piece(TEXT[60:180], 60, SECOND, sampled=False)])


def test_a_batch_without_room_leaves_every_extent_and_every_logit_as_they_were(context: LlamaContext) -> None:
    assert context.cells == 256
    _filled(context)
    wanted = [_next(context, FIRST, 120), _next(context, SECOND, 180)]
    context.clear()
    (row,) = context.decode([Piece(TEXT[:40], 0, THIRD, sampled=True)])
    alone = context.logits(row)
    _filled(context)
    before = _extents(context)
    assert before[:5] == [(0, 119), (0, 119), (0, 179), (0, 179), (-1, -1)]
    too_much = [Piece(TEXT[:40], 0, THIRD, sampled=True)]
    mixed = [Piece((TEXT[120],), 120, FIRST, sampled=True), Piece((TEXT[180],), 180, SECOND, sampled=True), *too_much]
    for pieces in (too_much, mixed, too_much):
        with pytest.raises(NoRoomError):
            context.decode(pieces)
        assert _extents(context) == before
    found = [_next(context, FIRST, 120), _next(context, SECOND, 180)]
    for one, other in zip(wanted, found, strict=True):
        assert np.abs(one - other).max() < ROUNDING
    assert np.abs(found[0] - found[1]).max() > OTHER
    for sequence in SECOND:
        context.cut(sequence, 0)
    (row,) = context.decode(too_much)
    assert np.abs(context.logits(row) - alone).max() < ROUNDING, "with room, it is computed as if nothing had been"
