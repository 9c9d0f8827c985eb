"""Figures that were counted before: equal to those counted anew, bound to the entries, and believed no further."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.counting import Counting
from appliance.audit.entry import encode_entry
from appliance.audit.errors import LogTamperedError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.tally import Figures, UsageReport
from tests.audit.bench import Bench
from tests.audit.counted import COUNT, kept, read_blocks, records, report

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.tally_cache import TallyCache


@pytest.mark.parametrize(
    "period", [{}, {"since": date(2026, 11, 5)}, {"since": date(2026, 11, 9), "until": date(2026, 11, 11)}]
)
def test_figures_of_the_cache_are_those_counted_anew(
    log: Bench, cache: TallyCache, period: dict[str, date], monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = report(log, **period)
    cold = report(log, cache, **period)
    counted = read_blocks(monkeypatch)
    warm = report(log, cache, **period)
    assert counted == []
    assert anew.as_json() == cold.as_json() == warm.as_json()
    assert anew == cold == warm
    assert len(kept(cache)) == 3


def test_parts_add_up_to_what_one_count_gives(log: Bench, cache: TallyCache) -> None:
    """Against a plain count over all entries, which knows no blocks; sums of floats may differ in their last digits."""
    days: dict[str, Figures] = defaultdict(Figures)
    counting = Counting(days)
    for _, entry in records(COUNT):
        counting.add(entry)
    counting.finish()
    plain = UsageReport()
    for day, figures in days.items():
        plain.add_day(day, figures)
    report(log, cache)
    found = report(log, cache)
    mine, theirs = plain.as_json(), found.as_json()
    for name in (
        "total",
        "by_day",
        "by_group",
        "by_model",
        "by_purpose",
        "refusal_reasons",
        "outcomes",
        "kinds",
        "users",
        "top_users_by_model",
    ):
        assert mine[name] == theirs[name]
    assert len(found.model_loads) == 200


def test_only_what_is_new_is_read_when_the_log_has_grown(
    log: Bench, cache: TallyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(log, cache)
    log.close()
    log.fill(300, start=COUNT)
    counted = read_blocks(monkeypatch)
    assert report(log, cache).as_json() == report(log).as_json()
    assert counted == [3, 4, 0, 1, 2, 3, 4]


def test_a_log_in_whose_place_another_was_put_is_not_reported_with_the_first_ones_figures(
    log: Bench, cache: TallyCache, tmp_path: Path
) -> None:
    report(log, cache)
    other = Bench(tmp_path / "other", log.keys)
    other.fill(COUNT)
    assert report(other, cache).as_json() == report(other).as_json()
    assert report(other).total != report(log).total


def test_a_block_s_hash_that_the_checkpoint_does_not_cover_finds_no_figures(
    log: Bench, cache: TallyCache, tmp_path: Path
) -> None:
    """The tile of block roots is rewritten to name blocks of another log, which were counted before."""
    other = Bench(tmp_path / "other", log.keys)
    other.fill(COUNT)
    report(other, cache)
    path = log.directory / "tile/1/000.p/3"
    path.write_bytes((other.directory / "tile/1/000.p/3").read_bytes())
    with pytest.raises(LogTamperedError):
        report(log, cache)


def test_an_edited_entry_is_found_as_long_as_it_was_not_counted_before(log: Bench, cache: TallyCache) -> None:
    path = log.directory / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"completion_tokens":7', b'"completion_tokens":9', 1))
    with pytest.raises(LogTamperedError, match="edited"):
        report(log, cache)
    assert len(kept(cache)) <= 1


def test_what_was_counted_before_stays_what_it_was_when_its_entries_are_edited(log: Bench, cache: TallyCache) -> None:
    """A report is about what was signed; that the entries on disk are no longer those is for verify to say."""
    before = report(log, cache).as_json()
    path = log.directory / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"completion_tokens":7', b'"completion_tokens":9', 1))
    assert report(log, cache).as_json() == before
    with pytest.raises(LogTamperedError, match="edited"):
        log.verify()


def test_blocks_that_are_counted_side_by_side_give_the_same(
    log: Bench, cache: TallyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = report(log).as_json()
    monkeypatch.setattr("appliance.audit.usage._WORTH_PROCESSES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    counted = read_blocks(monkeypatch)
    assert report(log, cache).as_json() == right
    assert counted == []  # all of them elsewhere
    assert len(kept(cache)) == 3


def test_entries_of_the_journal_are_counted_too(bench: Bench, cache: TallyCache, tmp_path: Path) -> None:
    log = bench.open()
    made = records(600)
    log.append(made[:400])
    log.enter(made[400:])
    copy = Bench(tmp_path / "copy", bench.keys)
    shutil.copytree(bench.directory, copy.directory)
    assert copy.verify().journaled == 200
    journaled = report(copy, cache)
    log.settle()
    settled = report(bench, cache)
    assert (journaled.size, journaled.total, journaled.root) == (600, settled.total, settled.root)


def test_a_log_of_strange_keys_has_no_report_whatever_the_cache_holds(log: Bench, cache: TallyCache) -> None:
    report(log, cache)
    log.keys = CheckpointKeys.generate()
    with pytest.raises(Exception, match="no Ed25519"):
        report(log, cache)


def test_plain_figures_come_back_as_they_were(log: Bench) -> None:
    days: dict[str, Figures] = defaultdict(Figures)
    counting = Counting(days)
    for _, entry in records(300):
        counting.add(entry)
    counting.finish()
    assert log.directory.exists()
    for figures in days.values():
        assert Figures.of_plain(json.loads(json.dumps(figures.plain()))) == figures


STRANGE: list[Any] = [
    None,
    True,
    1,
    1.0,
    -1,
    "",
    "1",
    [],
    {},
    ["x"],
    [{"name": "g"}],
    [{"name": "g"}, {"name": 1}],
    {"name": "g"},
]


def _calls() -> list[bytes]:
    """Calls of every shape, each next to those that look nearly like it."""
    plain = events.request(
        request_id="r", subject="s", groups=("g",), model_digest="d", model_name="m", prompt_commitment="c", purpose="p"
    )
    made = [plain, plain | {"time": float(plain["time"])}]
    for value in STRANGE:
        user = plain["actor"]["user"]
        made += [plain | {"actor": {"user": user | {name: value}}} for name in ("uid", "groups")]
        made += [plain | {name: value} for name in ("actor", "ai_model", "time")]
        made += [plain | {"ai_model": {"name": value}}, plain | {"actor": {"user": value}}]
        ours = plain["unmapped"]["sovereign"]
        made += [plain | {"unmapped": {"sovereign": ours | {"purpose": value}}}]
        named = {"unmapped": {"sovereign": ours | {"model_name": value}}}
        made += [plain | {"ai_model": model} | named for model in ({}, {"name": ""})]
    return [encode_entry(event, f"e{number}") for number, event in enumerate(made * 2)]


def _answers() -> list[bytes]:
    """Answers of every shape, and calls that look like answers."""
    plain = events.answer(
        request_id="r", subject="s", groups=("g", "h"), model_digest="d", model_name="m", outcome="stop",
        prompt_tokens=3, completion_tokens=2, joules=0.1, duration_ms=1.0, answer_commitment="c", purpose="p",
        documents=("x", "y"),
    )  # fmt: skip
    ours, context = plain["unmapped"]["sovereign"], plain["message_context"]
    made = [plain, plain | {"message_context": {}}]
    for value in (*STRANGE, 0, 7, 0.3, 1e308, 10**30, ["x", "x", "z", 1, ["y"]]):
        names = ("kind", "outcome", "energy_method", "joules", "documents")
        made += [plain | {"unmapped": {"sovereign": ours | {name: value}}} for name in names]
        made += [
            plain | {"message_context": context | {name: value}} for name in ("prompt_tokens", "completion_tokens")
        ]
        made += [plain | {"message_context": value}]
    less = [{other: ours[other] for other in ours if other != name} for name in ours]
    made += [plain | {"unmapped": {"sovereign": one}} for one in less]
    return [encode_entry(event, f"a{number}") for number, event in enumerate(made * 2)]


def test_answers_of_any_shape_add_up_as_they_do_one_by_one() -> None:
    together: dict[str, Figures] = defaultdict(Figures)
    apart: dict[str, Figures] = defaultdict(Figures)
    counting = Counting(together)
    for entry in _answers():
        counting.add(entry)
        Counting(apart)._add_any(json.loads(entry))
    counting.finish()
    counting.finish()
    assert together == apart
    (figures,) = together.values()
    assert 0 < figures.total.answers < len(_answers())
    assert list(figures.documents) == list(apart.popitem()[1].documents)


def test_what_was_looked_up_for_one_call_is_what_another_like_it_adds_to() -> None:
    together: dict[str, Figures] = defaultdict(Figures)
    apart: dict[str, Figures] = defaultdict(Figures)
    counting = Counting(together)
    for entry in _calls():
        counting.add(entry)
        Counting(apart)._add_any(json.loads(entry))  # which looks up everything, and remembers nothing
    counting.finish()
    counting.finish()
    assert together == apart
    assert sum(figures.total.requests for figures in together.values()) == len(_calls())
