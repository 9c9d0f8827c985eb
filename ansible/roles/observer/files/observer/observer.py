"""What one host saw and has not told yet, and how far it read; on the disk, so that an end at any moment loses nothing.

The API server's log waits where it is until the collector has taken it; of what was refused, counts wait here. What is
handed over twice has the same names, and is one entry.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

import calls
import follow
import refused
from deliver import BATCH_BYTES, BATCH_ITEMS, RefusedError, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LINES, FLOW_LINES, WAITING = 200, 5000, 60
READINGS = 8  # at once, so that neither a flood nor an outage's backlog keeps the rest from being told


class Observer:
    """What one host saw and has not told yet. ``take`` hands items over, as ``deliver`` does."""

    def __init__(self, state: Path, take: Any) -> None:
        self._path, self._take = state, take
        kept = _kept(state)
        self._id: str = kept.get("id") or secrets.token_hex(8)
        self._number: int = kept.get("number", 0)
        self._pending: list[dict[str, Any]] = kept.get("pending", [])
        self._lost: dict[str, Any] | None = kept.get("lost")
        self._calls, self._flows = (_place(kept.get(name)) for name in ("calls", "flows"))
        self._bound = calls.Bound(kept.get("bound", {}))
        self._ledger = refused.Ledger(kept.get("ledger", {}))
        self._firewall = refused.Firewall(kept.get("firewall", {}))
        self.behind = 0

    def tell_calls(self, log: Path) -> bool:
        """Hand over the next calls, some thousand; whether there may be more.

        Raises as ``deliver``, ``OSError`` without a log, and ``ValueError`` when reading comes back to where it was.
        """
        been = [self._calls]
        for _ in range(READINGS):
            self._tell_next(log)
            if self._calls == been[-1]:
                return False
            if self._calls in been:
                raise ValueError(f"{log} is read in a circle at {self._calls}")
            been.append(self._calls)
        return True

    def _tell_next(self, log: Path) -> None:
        reading = follow.read(log, self._calls, LINES)
        self.behind = reading.behind + sum(len(one.text) for one in reading.found if isinstance(one, follow.Line))
        if reading.place is None and not reading.found:
            raise FileNotFoundError(f"{log} is not there, to which the API server writes")
        before = json.dumps(self._bound.state)
        items = [item for one in reading.found for item in self._items(one)]
        try:
            for batch in _batches(items):
                self._take(batch)
        except (OSError, RefusedError):
            self._bound.state = json.loads(before)
            raise
        if reading.place != self._calls:
            self._calls = reading.place
            self._save()
        self.behind = reading.behind

    def _items(self, found: follow.Line | follow.Gap) -> Iterator[dict[str, Any]]:
        """What is told of a line: its call, and what of it was none."""
        if isinstance(found, follow.Gap):
            yield _gap("calls", found)
            return
        event, unread = calls.event_of(found.text)
        if unread or event is None:
            yield _gap("calls", follow.Gap(found.at, "unreadable", unread))
        if event is not None:
            call = self._bound.admit(calls.short(event), _seconds(event.get("stageTimestamp")))
            if call is not None:
                yield {"kind": "call", "at": found.at, **call}

    def count(self, flows: Path, listing: Callable[[], str], now: float) -> None:
        """Count on what was refused; what is due of it waits to be told, the rest of ``flows`` for the next time.

        ``listing`` is asked for the firewall's table. What it raises is raised once flows are counted, and
        ``ValueError`` for one that is none.
        """
        for _ in range(READINGS):
            reading = follow.read(flows, self._flows, FLOW_LINES)
            rows = [refused.flow(one.text) for one in reading.found if isinstance(one, follow.Line)]
            self._ledger.add((row, 1) for row in rows if row is not None)
            for one in reading.found:
                if isinstance(one, follow.Gap):
                    self._miss(_gap("flows", one))
            moved, self._flows = reading.place != self._flows, reading.place
            if not moved:
                break
        try:
            self._ledger.add(self._firewall.grown(listing()))
        finally:
            self._due(now)

    def _miss(self, gap: dict[str, Any]) -> None:
        """Have a gap told; where enough waits, together with the ones after it, as the first with number and bytes."""
        if self._lost is not None:
            self._lost = {**self._lost, "gaps": self._lost["gaps"] + 1, "size": self._lost["size"] + gap["size"]}
        elif len(self._pending) < WAITING:
            self._pending.append(gap)
        else:
            self._lost = {**gap, "gaps": 1}

    def _due(self, now: float) -> None:
        """Put what is due at ``now`` to what waits, which is as it was handed over from then on."""
        if len(self._pending) < WAITING:
            if self._lost is not None:
                self._pending.append(self._lost)
                self._lost = None
            for row in self._ledger.due(now):
                self._number += 1
                self._pending.append({"kind": "refused", "number": f"{self._id}/{self._number}", **row})
        self._bound.forget(now)
        self._save()

    def tell_refused(self) -> None:
        """Hand over what waits. Raises as ``deliver``."""
        for batch in _batches(self._pending):
            self._take(batch)
            self._pending = self._pending[len(batch) :]
            self._save()

    def _save(self) -> None:
        """Whole or as before, also after a power cut."""
        kept = {
            "schema": 1,
            "id": self._id,
            "number": self._number,
            "pending": self._pending,
            "lost": self._lost,
            "calls": _told(self._calls),
            "flows": _told(self._flows),
            "bound": self._bound.state,
            "ledger": self._ledger.state,
            "firewall": self._firewall.state(),
        }
        partial = self._path.with_suffix(".partial")
        with partial.open("w") as out:
            json.dump(kept, out)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _batches(items: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """``items`` in order, in as many parts as the collector takes at once."""
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        more = len(spelled(item))
        if batch and (len(batch) == BATCH_ITEMS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch


def _kept(path: Path) -> dict[str, Any]:
    """What was saved. What cannot be read is begun anew, which is told as any beginning."""
    try:
        kept = json.loads(path.read_text())
        return kept if isinstance(kept, dict) and kept.get("schema") == 1 else {}
    except (OSError, ValueError):
        return {}


def _place(kept: Any) -> follow.Place | None:
    return follow.Place(str(kept[0]), int(kept[1])) if isinstance(kept, list) else None


def _told(place: follow.Place | None) -> list[Any] | None:
    return [place.first, place.offset] if place else None


def _gap(of: str, gap: follow.Gap) -> dict[str, Any]:
    return {"kind": "reading", "of": of, "at": gap.at, "why": gap.why, "size": gap.size}


def _seconds(stamp: Any) -> float:
    try:
        return datetime.fromisoformat(str(stamp).replace("Z", "+00:00")).timestamp()  # noqa: FURB162 - Python 3.9 needs it
    except ValueError:
        return 0.0
