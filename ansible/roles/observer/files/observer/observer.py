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
from deliver import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

LINES, FLOW_LINES, WAITING = 200, 5000, 60


class Observer:
    """What one host saw and has not told yet. ``take`` hands items over, as ``deliver`` does."""

    def __init__(self, state: Path, take: Any) -> None:
        self._path, self._take = state, take
        kept = _kept(state)
        self._id: str = kept.get("id") or secrets.token_hex(8)
        self._number: int = kept.get("number", 0)
        self._pending: list[dict[str, Any]] = kept.get("pending", [])
        self._calls, self._flows = (_place(kept.get(name)) for name in ("calls", "flows"))
        self._bound = calls.Bound(kept.get("bound", {}))
        self._ledger = refused.Ledger(kept.get("ledger", {}))
        self._firewall = refused.Firewall(kept.get("firewall", {}))
        self.behind = 0

    def tell_calls(self, log: Path) -> bool:
        """Hand over the next calls; whether there may be more. Raises as ``deliver``, and ``OSError`` without a log."""
        reading = follow.read(log, self._calls, LINES)
        self.behind = reading.behind + sum(len(one.text) for one in reading.found if isinstance(one, follow.Line))
        if reading.place is None and not reading.found:
            raise FileNotFoundError(f"{log} is not there, to which the API server writes")
        before = json.dumps(self._bound.state)
        items = [item for one in reading.found if (item := self._item(one))]
        try:
            if items:
                self._take(items)
        except (OSError, RefusedError):
            self._bound.state = json.loads(before)
            raise
        if reading.place != self._calls:
            self._calls = reading.place
            self._save()
        self.behind = reading.behind
        return bool(reading.found)

    def _item(self, found: follow.Line | follow.Gap) -> dict[str, Any] | None:
        if isinstance(found, follow.Gap):
            return _gap("calls", found)
        event = calls.event_of(found.text)
        if event is None:
            return _gap("calls", follow.Gap(found.at, "unreadable", len(found.text)))
        call = self._bound.admit(calls.short(event), _seconds(event.get("stageTimestamp")))
        return None if call is None else {"kind": "call", "at": found.at, **call}

    def count(self, flows: Path, listing: str, now: float) -> None:
        """Count on what was refused; what is due of it waits to be told."""
        while True:
            reading = follow.read(flows, self._flows, FLOW_LINES)
            rows = [refused.flow(one.text) for one in reading.found if isinstance(one, follow.Line)]
            self._ledger.add((row, 1) for row in rows if row is not None)
            self._pending += [_gap("flows", one) for one in reading.found if isinstance(one, follow.Gap)]
            self._flows = reading.place
            if not reading.found:
                break
        self._ledger.add(self._firewall.grown(listing))
        if len(self._pending) < WAITING:
            for row in self._ledger.due(now):
                self._number += 1
                self._pending.append({"kind": "refused", "number": f"{self._id}/{self._number}", **row})
        self._bound.forget(now)
        self._save()

    def tell_refused(self) -> None:
        """Hand over what waits. Raises as ``deliver``."""
        if self._pending:
            self._take(self._pending)
            self._pending = []
            self._save()

    def _save(self) -> None:
        """Whole or as before, also after a power cut."""
        kept = {
            "schema": 1,
            "id": self._id,
            "number": self._number,
            "pending": self._pending,
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
