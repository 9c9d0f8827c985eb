"""A measurement that somebody ends is judged by its whole rounds, and by nothing of the one that was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.engine import loads, rounds
from tests.bench.engine.contenders import OURS, PEER, Machine

if TYPE_CHECKING:
    from collections.abc import Callable

SCALE = replace(loads.QUICK, rounds=3)


@pytest.fixture
def ended_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], rounds.Measured]:
    """Rounds of two loads whose call number N is cut off; each call's figure is its number."""

    def run(cut: int) -> rounds.Measured:
        calls: list[float] = []

        def once(*_: Any) -> loads.Figures:
            calls.append(len(calls))
            if len(calls) - 1 == cut:
                raise KeyboardInterrupt
            return {"tok_s": calls[-1]}

        monkeypatch.setattr(rounds, "once", once)
        monkeypatch.setattr(rounds, "_restarted", lambda *_: {"kept": 1.0})
        measured = rounds.Measured({"distinct": "one set", "shared": "one set"}, {})
        rounds.run(Machine(Path("model"), Path("server"), 2), ("distinct", "shared"), SCALE, measured)  # type: ignore[arg-type]  # nothing is started
        return measured

    return run


@pytest.mark.parametrize("cut", [8, 9, 11])
def test_a_round_that_was_cut_off_leaves_no_figure(cut: int, ended_at: Callable[[int], rounds.Measured]) -> None:
    measured = ended_at(cut)
    assert measured.column("distinct", OURS, "tok_s") == [0, 5]
    assert measured.column("distinct", PEER, "tok_s") == [1, 4]
    assert measured.column("shared", OURS, "tok_s") == [2, 7]
    assert len(measured.restarts) == 2


def test_with_no_whole_round_there_is_nothing_to_judge(ended_at: Callable[[int], rounds.Measured]) -> None:
    with pytest.raises(KeyboardInterrupt):
        ended_at(3)


def test_rounds_that_nobody_ends_are_all_kept(ended_at: Callable[[int], rounds.Measured]) -> None:
    assert len(ended_at(-1).restarts) == SCALE.rounds
