"""Reading the log through its writer, for the gateway: what ``reading`` gives, and looking through entries.

Entries are looked through from the latest to the earliest, some bundles at a time, however long the log is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from appliance.audit import wire
from appliance.audit.search import Found, Wanted, found_in, moment_of
from appliance.audit.tiles import WIDTH, decode_entries

if TYPE_CHECKING:
    from pathlib import Path

MOST_BUNDLES = 32
"""Looked through for one page; where too little was found, the next page goes on behind them."""
_COUNTING_SECONDS = 300.0


@dataclass(frozen=True)
class Page:
    """Entries that were found, latest first; ``before`` is where to go on, None at the log's beginning."""

    found: tuple[Found, ...]
    before: int | None
    size: int


class LogReader:
    """For one event loop. Close it with ``aclose`` or use it as a context manager.

    Everything raises ``AuditUnavailableError``, or what the writer answered instead.
    """

    def __init__(self, socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        timeout = httpx.Timeout(wire.ANSWER_SECONDS, connect=wire.CONNECT_SECONDS)
        self._http = httpx.AsyncClient(transport=transport, base_url=wire.BASE_URL, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def state(self) -> dict[str, Any]:
        """Origin, size, checkpoint and witnesses."""
        return wire.read_answer(await self._get("/state"))

    async def usage(self, since: str | None, until: str | None) -> dict[str, Any]:
        """Figures of a period of days (ISO, both included), as ``sovereign audit report --output json`` gives them."""
        asked = {name: day for name, day in (("since", since), ("until", until)) if day}
        return wire.read_answer(await self._get("/usage", asked, seconds=_COUNTING_SECONDS))

    async def export(self, first: int, last: int) -> bytes:
        """Entries ``first`` to ``last`` with their proofs and what checks them: a ZIP."""
        answer = await self._get("/export", {"first": first, "last": last}, seconds=_COUNTING_SECONDS)
        if not answer.is_success:
            wire.read_answer(answer)
        return answer.content

    async def search(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> Page:
        """Entries that are as ``wanted``, from the latest before position ``before`` on, ``limit`` at most.

        Those of the last half second may not be settled yet; a search has nothing settled for its sake.
        """
        size = await self._settled()
        end = min(size, before) if before is not None else size
        if before is None and wanted.until is not None and end:
            end = min(end, (await self._last_bundle(wanted.until, size) + 1) * WIDTH)
        found: list[Found] = []
        for _ in range(MOST_BUNDLES):
            if end <= 0:
                return Page(tuple(found), None, size)
            index = (end - 1) // WIDTH
            entries = (await self._bundle(index))[: end - index * WIDTH]
            some, over = await asyncio.to_thread(found_in, entries, index * WIDTH, wanted, limit - len(found))
            found += some
            if len(found) == limit:
                return Page(tuple(found), found[-1].index or None, size)
            if over:
                return Page(tuple(found), None, size)
            end = index * WIDTH
        return Page(tuple(found), end or None, size)

    async def _settled(self) -> int:
        return int(wire.read_answer(await self._get("/size"))["size"])

    async def _last_bundle(self, until: int, size: int) -> int:
        """The last bundle that begins before ``until`` (ms); times of a log run forwards, more or less."""
        low, high = 0, (size - 1) // WIDTH
        while low < high:
            middle = (low + high + 1) // 2
            entries = await self._bundle(middle)
            if entries and moment_of(entries[0]) >= until:
                high = middle - 1
            else:
                low = middle
        return low

    async def _bundle(self, index: int) -> list[bytes]:
        """The entries of a bundle; none where it was pruned."""
        answer = await self._get("/bundle", {"index": index})
        if answer.status_code == httpx.codes.GONE:
            return []
        if not answer.is_success:
            wire.read_answer(answer)
        return decode_entries(answer.content)[0]

    async def _get(
        self, path: str, query: dict[str, Any] | None = None, seconds: float = wire.ANSWER_SECONDS
    ) -> httpx.Response:
        try:
            return await self._http.get(path, params=query, timeout=seconds)
        except httpx.HTTPError as error:
            raise wire.unreachable(error) from error
