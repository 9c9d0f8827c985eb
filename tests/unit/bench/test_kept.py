"""A benchmark of confidence that was ended goes on where it was, and mixes no two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.learning.calibration import Label
from appliance.learning.confidence import Signal
from tests.bench.confidence.__main__ import progress
from tests.bench.confidence.kept import Kept

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = {"model": "sha256:aa", "seed": 1}
LABEL = Label("q1", Signal(-0.25, -1.5, 1.75, 0.0), right=True, language="fr", setting="sha256:bb")


def test_what_was_asked_is_not_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kept.jsonl"
    first = Kept(path, ABOUT)
    first.add("q1", LABEL)
    first.add("q2", None)
    assert Kept(path, ABOUT).labels == {"q1": LABEL, "q2": None}


def test_a_line_that_was_cut_off_is_asked_again_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    Kept(path, ABOUT).add("q1", LABEL)
    path.write_text(path.read_text() + '{"name": "q2", "lab')
    again = Kept(path, ABOUT)
    assert set(again.labels) == {"q1"}
    again.add("q2", None)
    assert Kept(path, ABOUT).labels == {"q1": LABEL, "q2": None}


def test_answers_of_another_model_or_of_other_questions_are_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    Kept(path, ABOUT).add("q1", LABEL)
    assert Kept(path, {**ABOUT, "model": "sha256:cc"}).labels == {}


def test_it_says_how_long_the_rest_takes(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.jsonl", ABOUT)
    kept.add("q1", LABEL)
    kept.add("q2", None)
    assert progress(20, 300, kept, 5.0) == "  20/300 asked, 1 labels, about 24 min left"
