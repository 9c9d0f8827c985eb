"""The table of memories: units and ages in words, a dash for what is not known, and no group's name."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from appliance.cli.memory_table import age, render
from appliance.engine.tiers import EngineTiers
from appliance.install.memory_status import MemoryStatus
from appliance.memory.hierarchy import Silent, folded, hierarchy
from tests.unit.memory.test_hierarchy import COUNTED, ENGINE, LIBRARY, NOW

if TYPE_CHECKING:
    from appliance.memory.extent import Extent
    from appliance.memory.hierarchy import Counted


def shown(
    engines: dict[str, EngineTiers | Silent],
    counted: Counted | None = COUNTED,
    library: Extent | None = LIBRARY,
    *,
    up: bool = True,
    width: int = 140,
) -> str:
    out = io.StringIO()
    found = folded(hierarchy(engines, counted, library, groups=(), now=NOW))
    render(MemoryStatus("trial", up, found), Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_each_tier_has_a_row_with_units_and_what_the_joules_rest_on_is_said() -> None:
    text = shown({"small": ENGINE})
    lines = {tuple(line.split()[:2]): line.split() for line in text.splitlines()}
    assert lines["pinned", "site"] == ["pinned", "site", "1", "40", "0.0", "30", "seconds", "9", "360", "18.0"]
    assert lines["pinned", "groups"][-3:] == ["3", "25", "1.2"]
    assert lines["passages", "groups"][-3:] == ["12", "-", "-"]
    assert lines["documents", "groups"][-3:] == ["3", "-", "-"]
    assert "1 second to 9 seconds" in text
    assert "60 minutes to 99 days" in text
    assert "small: 140 of 1,000 cells in use; J saved are estimated from 0.05 J a token read, by declared watts" in text
    assert "library: 10,500 characters; passages, words and vectors take 5.0 MiB" in text
    assert "of answers with a receipt since 2026-11-26T11:00:00Z" in text
    assert "clerks" not in text


def test_no_figure_is_cut_in_a_narrow_terminal() -> None:
    narrow, wide = shown({"small": ENGINE}, width=80), shown({"small": ENGINE}, width=140)
    assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
    assert sorted(narrow.split()) == sorted(wide.split())


def test_what_is_not_known_is_a_dash_and_said_in_words() -> None:
    text = shown({"small": Silent("not_running"), "large": Silent("not_known", "it breaks off")}, None, None)
    assert "small: not running" in text
    assert "large: not known, it breaks off" in text
    assert "hits and tokens saved: not known, the gateway does not answer" in text
    assert "library: not known" in text
    assert " 0 " not in text


def test_an_engine_that_makes_vectors_keeps_nothing() -> None:
    assert "small: makes vectors, and keeps nothing" in shown({"small": EngineTiers(1.0, 0, (), None)})


def test_a_site_that_is_down_says_so() -> None:
    text = shown({"small": Silent("not_running")}, None, None, up=False)
    assert "the site is down: `sovereign up` starts it" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 seconds"),
        (1.9, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_799, "47 hours"),
        (10**8, "1157 days"),
    ],
)
def test_ages_are_words(seconds: float, words: str) -> None:
    assert age(seconds) == words
