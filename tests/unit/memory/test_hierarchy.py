"""One report of all tiers: scopes stay apart, what is not known is not zero, and sums of groups name nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.engine.tiers import EngineTiers, Prefill, Row
from appliance.memory.extent import Extent, Part
from appliance.memory.hierarchy import Counted, Hierarchy, Saved, Silent, TierRow, folded, hierarchy
from appliance.memory.totals import read, told

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ENGINE = EngineTiers(
    50.0,
    1000,
    (
        Row("pinned", "site", "", 1, 40, 4000, 30.0, 30.0),
        Row("pinned", "group", "clerks", 1, 10, 1000, 20.0, 20.0),
        Row("disk", "group", "dissolved", 1, 70, 100, 99.0, 99.0),
        Row("disk", "group", "disbanded", 2, 30, 200, 50.0, 9.0),
        Row("parked", "user", "", 3, 90, 9000, 9.0, 1.0),
    ),
    Prefill(100, 5.0, "estimated"),
)
COUNTED = Counted(
    "2026-11-26T11:00:00Z",
    {
        "small": (
            Saved("pinned", "site", "", 9, 360),
            Saved("pinned", "group", "clerks", 2, 20),
            Saved("pinned", "group", "analysts", 1, 5),
            Saved("live", "user", "", 1, 7),
        )
    },
    12,
    3,
)
LIBRARY = Extent(
    (
        Part("clerks", 2, 30, 9000, NOW - timedelta(days=9), NOW - timedelta(hours=1)),
        Part(None, 1, 4, 800, NOW - timedelta(days=2), NOW - timedelta(days=2)),
        Part("dissolved", 1, 6, 700, NOW - timedelta(days=99), NOW - timedelta(days=99)),
    ),
    5 << 20,
)


def whole(**changes: Any) -> Hierarchy:
    given: dict[str, Any] = {"engines": {"small": ENGINE}, "counted": COUNTED, "library": LIBRARY, **changes}
    return hierarchy(
        given["engines"], given["counted"], given["library"], groups=frozenset({"clerks", "analysts"}), now=NOW
    )


def test_site_groups_and_users_stand_apart_and_the_warmest_comes_first() -> None:
    rows = whole().engines[0].rows
    assert [(row.tier, row.scope, row.group, row.of) for row in rows] == [
        ("pinned", "site", None, None),
        ("pinned", "group", "analysts", "one"),
        ("pinned", "group", "clerks", "one"),
        ("parked", "user", None, None),
        ("live", "user", None, None),
        ("disk", "group", None, "former"),
    ]


def test_joules_are_tokens_saved_times_what_a_token_cost() -> None:
    site, analysts, clerks, users, live, disk = whole().engines[0].rows
    assert (site.hits, site.tokens_saved, site.joules_saved) == (9, 360, pytest.approx(18.0))
    assert (clerks.tokens, clerks.tokens_saved, clerks.joules_saved) == (10, 20, pytest.approx(1.0))
    assert (analysts.tokens, analysts.tokens_saved) == (None, 5)
    assert (users.hits, users.tokens_saved, users.joules_saved) == (0, 0, 0.0)
    assert (live.tokens, live.tokens_saved) == (None, 7)
    assert (disk.count, disk.tokens, disk.oldest_s, disk.newest_s, disk.hits) == (3, 100, 99.0, 9.0, 0)


def test_where_nothing_was_computed_nothing_is_said_of_joules() -> None:
    view = whole(engines={"small": replace(ENGINE, prefill=None)}).engines[0]
    assert (view.joules_per_token, {row.joules_saved for row in view.rows}) == (None, {None})
    assert sum(row.tokens_saved or 0 for row in view.rows) == 392


@pytest.mark.parametrize("silent", [Silent("not_running"), Silent("not_known", "it breaks off")])
def test_an_engine_that_says_nothing_is_not_zero(silent: Silent) -> None:
    view = whole(engines={"small": silent, "large": ENGINE}).engines[0]
    assert (view.state, view.reason, view.cells, view.up_s) == (silent.state, silent.reason, None, None)
    assert {(row.count, row.tokens, row.size, row.oldest_s, row.joules_saved) for row in view.rows} == {(None,) * 5}
    assert sum(row.tokens_saved or 0 for row in view.rows) == 392


def test_without_the_gateways_counts_nothing_is_said_of_hits() -> None:
    found = whole(counted=None)
    assert found.since is None
    assert {(row.hits, row.tokens_saved, row.joules_saved) for row in found.engines[0].rows} == {(None, None, None)}
    assert (found.library.passages_used, found.library.documents_cited) == (None, None)


def test_passages_and_documents_count_once_and_save_no_token() -> None:
    library = whole().library
    assert [(row.tier, row.group, row.of, row.count) for row in library.rows] == [
        ("passages", "clerks", "one", 30),
        ("passages", None, "several", 4),
        ("passages", None, "former", 6),
        ("documents", "clerks", "one", 2),
        ("documents", None, "several", 1),
        ("documents", None, "former", 1),
    ]
    assert {row.tokens_saved for row in library.rows} == {None}
    assert (library.rows[0].oldest_s, library.rows[0].newest_s) == (9 * 86_400.0, 3600.0)
    assert whole(library=None).library.known is False


def test_sums_of_groups_name_none_and_lose_nothing() -> None:
    one, other = whole(), folded(whole())
    said = json.dumps(other.data())
    assert not any(name in said for name in ("clerks", "analysts", "dissolved", "disbanded"))
    for name in ("count", "tokens", "size", "hits", "tokens_saved"):
        assert _sum(one.engines[0].rows, name) == _sum(other.engines[0].rows, name)
    assert _sum(one.library.rows, "count") == _sum(other.library.rows, "count")
    assert len({(row.tier, row.scope) for row in other.engines[0].rows}) == len(other.engines[0].rows)


def test_the_management_port_gives_the_same_sums_without_a_name() -> None:
    said = told(COUNTED, LIBRARY)
    assert not any(name in json.dumps(said) for name in ("clerks", "analysts", "dissolved"))
    found = read(json.loads(json.dumps(said)))
    assert found is not None
    again = folded(hierarchy({"small": ENGINE}, *found, groups=(), now=NOW))
    assert again == folded(whole())


@pytest.mark.parametrize(
    "change",
    [
        {"since": "yesterday"},
        {"since": None},
        {"passages": "7"},
        {"passages": True},
        {"models": {"small": [{"tier": "attic", "scope": "site", "hits": 1, "tokens": 1}]}},
        {"models": {"small": [{"tier": "pinned", "scope": "site", "hits": -1, "tokens": 1}]}},
        {"models": {"small": [{"tier": "pinned", "scope": "site", "group": "clerks", "hits": 1, "tokens": 1}]}},
        {"passages": 1 << 70},
        {"library": {"documents": "many"}},
        {"more": 1},
    ],
)
def test_what_no_gateway_of_ours_would_say_is_not_taken(change: dict[str, Any]) -> None:
    assert read(told(COUNTED, None) | change) is None
    assert read(None) is None
    assert read([]) is None


@pytest.mark.parametrize("since", [0, "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_time_is_told_as_it_was_read_and_never_as_it_was_said(since: str | int) -> None:
    found = read(told(COUNTED, None) | {"since": since})
    assert found is not None
    assert datetime.fromisoformat(found[0].since).tzinfo is not None


def _sum(rows: tuple[TierRow, ...], name: str) -> int:
    return sum(getattr(row, name) or 0 for row in rows)
