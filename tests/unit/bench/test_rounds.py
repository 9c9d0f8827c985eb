"""A measurement that somebody ends is judged by its whole rounds, and goes on where it was when it is run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.engine import loads, rounds
from tests.bench.engine.contenders import OURS, PEER, Machine
from tests.bench.engine.sittings import Sittings

SCALE = replace(loads.QUICK, rounds=3)


NAMES = ("distinct", "shared")
SETS = ("one set", "another")


class Sitting:
    """Runs that share what is kept in a folder; each call of a contender gives its own number as figure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = 0
        self.cut = -1
        self.measured = rounds.Measured({}, {})

    def once(self, *_: Any) -> loads.Figures:
        self.calls += 1
        if self.calls - 1 == self.cut:
            raise KeyboardInterrupt
        return {"tok_s": float(self.calls - 1)}

    def run(self, cut: int = -1, about: str = "these sources") -> int:
        """The number of whole rounds; ended at call number ``cut``."""
        self.cut = cut
        sittings = Sittings(self.folder, {"of": about}, rounds.planned(NAMES, SCALE.rounds, SETS))
        machine = Machine(Path("model"), Path("server"), 2)  # type: ignore[arg-type]  # nothing is started
        self.measured = rounds.best_flags(machine, NAMES, SCALE, SETS, sittings)
        return rounds.run(machine, NAMES, SCALE, self.measured, sittings)


@pytest.fixture
def sitting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sitting:
    found = Sitting(tmp_path)
    monkeypatch.setattr(rounds, "once", found.once)
    monkeypatch.setattr(rounds, "_restarted", lambda *_: {"kept": 1.0})
    return found


TRIED = len(NAMES) * len(SETS)


@pytest.mark.parametrize("cut", [8, 9, 11])
def test_a_round_that_was_cut_off_leaves_no_figure(cut: int, sitting: Sitting) -> None:
    assert sitting.run(TRIED + cut) == 2
    assert sitting.measured.column("distinct", OURS, "tok_s") == [TRIED + 0, TRIED + 5]
    assert sitting.measured.column("distinct", PEER, "tok_s") == [TRIED + 1, TRIED + 4]
    assert sitting.measured.column("shared", OURS, "tok_s") == [TRIED + 2, TRIED + 7]
    assert len(sitting.measured.restarts) == 2


def test_with_no_whole_round_there_is_nothing_to_judge(sitting: Sitting) -> None:
    with pytest.raises(KeyboardInterrupt):
        sitting.run(TRIED + 3)


def test_rounds_that_nobody_ends_are_all_kept(sitting: Sitting) -> None:
    assert sitting.run() == SCALE.rounds
    assert len(sitting.measured.restarts) == SCALE.rounds


def test_a_run_again_measures_only_what_was_not_whole(sitting: Sitting) -> None:
    """Cut off at the second contender of a load: the first one's figure is of another hour, and is measured again."""
    sitting.run(TRIED + 9)  # in round 3 `distinct` had one of its two
    before = sitting.calls
    first = sitting.measured.figures
    assert sitting.run() == SCALE.rounds
    assert sitting.calls - before == 4
    for load in NAMES:
        for who in (OURS, PEER):
            assert sitting.measured.figures[load][who][:2] == first[load][who]
    both = [sitting.measured.column("distinct", who, "tok_s")[2] for who in (OURS, PEER)]
    assert min(both) >= before


def test_of_trials_of_flags_each_is_kept(sitting: Sitting) -> None:
    with pytest.raises(KeyboardInterrupt):
        sitting.run(3)
    sitting.run()
    assert sitting.measured.tried == {
        "distinct": {"one set": 0.0, "another": 1.0},
        "shared": {"one set": 2.0, "another": 4.0},
    }


def test_nothing_is_gone_on_with_that_was_measured_of_other_sources(sitting: Sitting) -> None:
    sitting.run()
    before = sitting.calls
    sitting.run(about="other sources")
    assert sitting.calls == 2 * before


def test_contenders_change_places_from_round_to_round_also_between_sittings(sitting: Sitting) -> None:
    sitting.run(TRIED + 4)
    sitting.run()
    ours, theirs = (sitting.measured.column("shared", who, "tok_s") for who in (OURS, PEER))
    assert [a < b for a, b in zip(ours, theirs, strict=True)] == [True, False, True]
