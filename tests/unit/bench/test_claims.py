from __future__ import annotations

import math

from tests.bench.engine.claims import judged, of_rounds, restart
from tests.bench.engine.contenders import OURS, PEER
from tests.bench.engine.plots import sheet
from tests.bench.engine.rounds import Measured


def _measured() -> Measured:
    measured = Measured({"one_stream": "16 slots"}, {})
    measured.figures["one_stream"] = {
        OURS: [{"tok_s": 97.0, "first_s": 0.2}, {"tok_s": 50.0, "first_s": 0.2}, {"tok_s": 99.0, "first_s": 0.2}],
        PEER: [{"tok_s": 100.0, "first_s": 0.1}, {"tok_s": 50.0, "first_s": 0.1}, {"tok_s": 100.0, "first_s": 0.1}],
    }
    measured.restarts = [{"computed_s": 2.0, "restarted_s": 0.2, "kept": 0.99}]
    return measured


def test_a_claim_is_about_the_median_of_ratios_and_a_broken_one_stays_in_the_list() -> None:
    found = {claim.name: claim for claim in of_rounds(_measured())}
    assert found["one stream, decode"].value == 0.99
    assert found["one stream, decode"].holds
    assert found["one stream, time to first token"].value == 2.0
    assert not found["one stream, time to first token"].holds


def test_a_bound_is_met_at_its_edge_and_not_beyond() -> None:
    assert judged("x", 0.97, "ratio", ">=", 0.97).holds
    assert not judged("x", 0.9699, "ratio", ">=", 0.97).holds
    assert judged("x", 0.5, "ratio", "<=", 0.5).holds
    assert not judged("x", 0.51, "ratio", "<=", 0.5).holds


def test_what_was_not_measured_does_not_hold_and_says_so() -> None:
    for value in (None, math.inf, math.nan):
        claim = judged("x", value, "ratio", ">=", 0.0)
        assert not claim.holds
        assert claim.value is None
        assert "not measured" in claim.note


def test_a_restart_that_finds_nothing_again_is_not_supported_whatever_its_time() -> None:
    measured = _measured()
    assert restart(measured).holds
    measured.restarts = [{"computed_s": 2.0, "restarted_s": 0.2, "kept": 0.1}]
    claim = restart(measured)
    assert not claim.holds
    assert claim.value is None
    assert "not supported" in claim.note


def test_the_sheet_shows_what_was_measured_and_nothing_else() -> None:
    drawn = sheet(_measured())
    assert drawn.count("<svg ") == 3
    assert "One stream: decode" in drawn
    assert "four groups" not in drawn
