"""What `make soak` says over many thousands of requests, said over a few hundred; and that it can say no."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.engine.llama import LlamaContext
from tests.engine import gpu
from tests.soak.engine import CLOSE, soak

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from appliance.engine.context import Piece


def test_nothing_grows_nothing_is_left_and_answers_are_the_models_own(tmp_path: Path) -> None:
    requests = 400 if gpu.chosen() is None else 4000  # CUDA loads a kernel when it is first used: 200 requests' worth
    report = soak(tmp_path, requests, seed=2, judged=0.25)
    assert report.outcomes.total() == requests
    assert report.holds, report
    for lacking in ("evicted", "put_offs", "restored"):
        assert not replace(report, **{lacking: requests // 100 - 1}).holds, (
            "where cells are not short, nothing is shown"
        )


def test_a_soak_sees_answers_that_rest_on_anothers_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge decodes one piece at a time; where there are several, one has a word that nobody wrote."""
    whole = LlamaContext.decode

    def decode(self: LlamaContext, pieces: Sequence[Piece]) -> list[int]:
        if len(pieces) > 1 and len(pieces[0].tokens) > 1:
            pieces = [replace(pieces[0], tokens=(77, *pieces[0].tokens[1:])), *pieces[1:]]
        return whole(self, pieces)

    monkeypatch.setattr(LlamaContext, "decode", decode)
    report = soak(tmp_path, 400, seed=2, judged=0.25)
    assert report.worst_lead > CLOSE
    assert not report.holds
