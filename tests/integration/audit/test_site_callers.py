"""What a storm's callers note of a gateway, held against its log: receipts of whole answers and of streams alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from tests.audit.processes import until
from tests.audit.site_callers import Caller, Diary
from tests.audit.site_reconciliation import outstanding, proven, read_diary, read_log, reconcile
from tests.contract.conftest import running_site
from tests.gateway.doubles import ORIGIN

if TYPE_CHECKING:
    from pathlib import Path

TURNS, STREAMS = 8, 6
"""Two whole answers, five streams to their end, and one that its caller leaves."""


class OpenDoor:
    """A way in that asks nobody: ``token`` is taken."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token

    def refused(self, token: str) -> None:
        raise AssertionError(f"{token} was refused")


class Stop(asyncio.Event):
    """Set after so many turns."""

    turns = 0

    def is_set(self) -> bool:
        self.turns += 1
        return self.turns > TURNS


async def _ask(url: str, token: str, diary: Path) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        door: Any = OpenDoor(token)
        await Caller(http, url, "small", door, Diary(str(diary)), Stop()).run(1)


def test_every_end_that_callers_were_told_whole_or_streamed_is_proved_by_its_receipt(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        diary, vkeys = tmp_path / "diary", site.audit_keys.vkeys(ORIGIN)
        asyncio.run(_ask(site.url, site.keys.token("analyst", "analysts"), diary))
        seen = read_diary(diary, "batch")
        until(lambda: not outstanding(read_log(site.audit_folder, vkeys), seen))
    receipts = proven(seen, vkeys)
    logged = read_log(site.audit_folder, vkeys, heads=[one.head for one in receipts.values()])
    found = reconcile(logged, seen, receipts)
    assert (found["asked"], found["logged"], found["told their end"], found["left"]) == (TURNS, TURNS, TURNS - 1, 1)
    streams = [line for line in diary.read_text().splitlines() if line.startswith('["begun"')]
    assert len(streams) == STREAMS
